import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';

export type Frame = Record<string, unknown>;

/** A connection to the scripted hub. */
export interface Visit {
  readonly socket: WebSocket;
  /** What came, hello included. */
  readonly frames: Frame[];
}

/** What the script does with a frame; hellos are welcomed unless the script says otherwise. */
export interface Script {
  readonly hello?: (visit: Visit, index: number) => void;
  readonly frame?: (frame: Frame, visit: Visit, index: number) => void;
}

/** A hub that speaks the protocol, and does what the test wants. */
export class ScriptedHub {
  readonly visits: Visit[] = [];
  readonly #server: WebSocketServer;
  readonly #waiters = new Set<() => void>();

  private constructor(private readonly script: Script) {
    this.#server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: true });
    this.#server.on('connection', (socket) => this.#welcome(socket));
  }

  static async start(script: Script = {}): Promise<ScriptedHub> {
    const hub = new ScriptedHub(script);
    await once(hub.#server, 'listening');
    onTestFinished(() => {
      for (const client of hub.#server.clients) client.terminate();
      hub.#server.close();
    });
    return hub;
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** All notifications, over all connections. */
  get notifications(): Frame[] {
    return this.visits.flatMap(({ frames }) => frames.filter((frame) => 'event' in frame));
  }

  /** Resolves when `fact` holds. */
  async until(fact: () => boolean): Promise<void> {
    while (!fact()) await new Promise<void>((resolve) => this.#waiters.add(resolve));
  }

  #welcome(socket: WebSocket): void {
    const index = this.visits.length;
    const visit: Visit = { socket, frames: [] };
    this.visits.push(visit);
    socket.on('error', () => undefined);
    socket.on('message', (data: Buffer) => {
      const frame = JSON.parse(data.toString()) as Frame;
      visit.frames.push(frame);
      const { hello = admit, frame: act = acknowledge } = this.script;
      if ('service_token' in frame) hello(visit, index);
      else act(frame, visit, index);
      this.#publish();
    });
    this.#publish();
  }

  #publish(): void {
    for (const waiter of this.#waiters) waiter();
    this.#waiters.clear();
  }
}

export function say(visit: Visit, frame: object): void {
  visit.socket.send(JSON.stringify(frame));
}

export function admit(visit: Visit): void {
  say(visit, { status: 'authenticated', connection_id: 'c-1', heartbeat_ms: 15_000, max_payload: 1_048_576 });
}

export function acknowledge(frame: Frame, visit: Visit): void {
  say(visit, { event: 'ack', message_id: frame['message_id'], outcome: 'applied' });
}

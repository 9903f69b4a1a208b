import { WebSocket } from 'ws';

interface Frame {
  readonly event: string;
  readonly rev?: number;
  readonly cursor?: string;
  readonly to?: string;
  readonly data?: { readonly details?: { readonly n?: number } };
}

const FIRST_CURSOR = 'new:0';
const RECONNECT_MS = 20;

/** A client that follows one task over WebSocket, and reconnects to the next server with its cursor. */
export class FollowingClient {
  /** Servers that accepted its subscription, in order. */
  readonly connections: string[] = [];
  readonly revs: number[] = [];
  readonly names: string[] = [];
  /** Reports of the service, by number. */
  readonly reports: number[] = [];
  gaps = 0;
  #at = 0;
  #cursor = FIRST_CURSOR;
  #socket: WebSocket | undefined;
  #over = false;
  #wakeup: () => void = () => undefined;

  constructor(
    private readonly urls: readonly string[],
    private readonly key: string,
    private readonly taskId: string,
  ) {}

  start(): void {
    if (this.#over) return;
    const url = this.urls[this.#at % this.urls.length] ?? '';
    const socket = new WebSocket(`${url.replace(/^http/, 'ws')}/ws/client`, {
      headers: { authorization: `Bearer ${this.key}` },
    });
    this.#socket = socket;
    socket.on('open', () => {
      const topic = { task_id: this.taskId };
      socket.send(JSON.stringify({ action: 'subscribe', id: 'a', topic, after: this.#cursor }));
    });
    socket.on('message', (data: Buffer) => this.#read(url, JSON.parse(data.toString()) as Frame));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.#at += 1;
      setTimeout(() => this.start(), RECONNECT_MS);
    });
  }

  stop(): void {
    this.#over = true;
    this.#socket?.terminate();
  }

  /** Resolves when `fact` is true; checked at each frame. */
  async until(fact: () => boolean): Promise<void> {
    while (!fact()) await new Promise<void>((resolve) => (this.#wakeup = resolve));
  }

  #read(url: string, frame: Frame): void {
    if (frame.event === 'subscribed') this.connections.push(url);
    else if (frame.event === 'gap') {
      this.gaps += 1;
      this.#cursor = frame.to ?? this.#cursor;
    } else if (frame.rev !== undefined) {
      this.names.push(frame.event);
      this.revs.push(frame.rev);
      const n = frame.data?.details?.n;
      if (n !== undefined) this.reports.push(n);
      this.#cursor = frame.cursor ?? this.#cursor;
    }
    this.#wakeup();
  }
}

import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import type { SeededRandom } from '../../packages/core/test/chaos/seeded-random.js';

export interface Disorder {
  readonly random: SeededRandom;
  /** Maximum of copies of a frame, at least one. */
  readonly maxCopies: number;
  /** Fewer than this many frames overtake one. */
  readonly window: number;
}

/** Without a further frame, waiting ones are sent after so many ms. */
const IDLE_MS = 3;

/** Repeats and reorders frames; the position of each in the stream moves by a window at most. */
class Shuffler {
  readonly #disorder: Disorder;
  readonly #send: (text: string) => void;
  #waiting: { readonly position: number; readonly text: string }[] = [];
  #next = 0;
  #idle: NodeJS.Timeout | undefined;

  constructor(disorder: Disorder, send: (text: string) => void) {
    this.#disorder = disorder;
    this.#send = send;
  }

  put(text: string): void {
    const { random, maxCopies, window } = this.#disorder;
    for (let copies = random.between(1, maxCopies); copies > 0; copies -= 1) {
      this.#waiting.push({ position: this.#next + random.fraction() * window, text });
      this.#next += 1;
    }
    this.#release((position) => position <= this.#next);
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => this.#release(() => true), IDLE_MS);
  }

  #release(isReleased: (position: number) => boolean): void {
    const ordered = this.#waiting.toSorted((a, b) => a.position - b.position);
    this.#waiting = ordered.filter(({ position }) => !isReleased(position));
    for (const { position, text } of ordered) if (isReleased(position)) this.#send(text);
  }
}

/**
 * Proxy between services and the hub, for frames: in both directions, everything after the handshake is
 * repeated and reordered.
 */
export class DisorderingProxy {
  readonly #server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  /** Number of received and of sent frames. */
  received = 0;
  sent = 0;
  /** Called with frames of services and of the hub, before they are disordered. */
  onServiceFrame: (frame: string) => void = () => undefined;
  onHubFrame: (frame: string) => void = () => undefined;

  private constructor(
    private readonly hubUrl: string,
    private readonly disorder: Disorder,
  ) {
    this.#server.on('connection', (near) => this.#join(near));
  }

  static async to(hubUrl: string, disorder: Disorder): Promise<DisorderingProxy> {
    const proxy = new DisorderingProxy(hubUrl.replace(/^http/, 'ws'), disorder);
    await once(proxy.#server, 'listening');
    onTestFinished(() => {
      for (const socket of proxy.#server.clients) socket.terminate();
      proxy.#server.close();
    });
    return proxy;
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  #join(near: WebSocket): void {
    const far = new WebSocket(`${this.hubUrl}/ws/task_updates`);
    const open = once(far, 'open').catch(() => undefined);
    this.#pump(near, far, open, (text) => this.onServiceFrame(text));
    this.#pump(far, near, Promise.resolve(), (text) => this.onHubFrame(text));
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      one.on('error', () => undefined);
      one.on('close', () => other.terminate());
    }
  }

  #pump(from: WebSocket, to: WebSocket, open: Promise<unknown>, onFrame: (text: string) => void): void {
    const send = (text: string) => {
      this.sent += 1;
      if (to.readyState === to.OPEN) to.send(text);
    };
    const shuffler = new Shuffler(this.disorder, send);
    let first = true;
    from.on('message', (data: Buffer) => {
      const text = data.toString();
      const isFirst = first;
      first = false;
      this.received += 1;
      onFrame(text);
      if (isFirst) void open.then(() => send(text));
      else shuffler.put(text);
    });
  }
}

import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import type { SeededRandom } from '../../packages/core/test/chaos/seeded-random.js';

export interface Disorder {
  readonly random: SeededRandom;
  /** Each frame is sent once to so often. */
  readonly mostCopies: number;
  /** A frame is overtaken by fewer than so many. */
  readonly window: number;
}

/** When nothing follows, what waits is let go after this, in milliseconds. */
const IDLE_MS = 3;

/** Repeats frames and mixes them up; each place in the stream is at most a window away from where it was. */
export class Shuffler {
  readonly #disorder: Disorder;
  readonly #send: (text: string) => void;
  #waiting: { readonly place: number; readonly text: string }[] = [];
  #next = 0;
  #idle: NodeJS.Timeout | undefined;

  constructor(disorder: Disorder, send: (text: string) => void) {
    this.#disorder = disorder;
    this.#send = send;
  }

  put(text: string): void {
    const { random, mostCopies, window } = this.#disorder;
    for (let copies = random.between(1, mostCopies); copies > 0; copies -= 1) {
      this.#waiting.push({ place: this.#next + random.fraction() * window, text });
      this.#next += 1;
    }
    this.#let((place) => place <= this.#next);
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => this.#let(() => true), IDLE_MS);
  }

  #let(go: (place: number) => boolean): void {
    const ordered = this.#waiting.toSorted((a, b) => a.place - b.place);
    this.#waiting = ordered.filter(({ place }) => !go(place));
    for (const { place, text } of ordered) if (go(place)) this.#send(text);
  }
}

/**
 * Between services and the hub, at the level of frames: both ways, everything after the handshake is repeated and comes
 * in another order.
 */
export class DisorderingProxy {
  readonly #server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  /** Frames as they came, and as they were passed on. */
  taken = 0;
  passed = 0;
  /** Hears what services say and what the hub says, before it is mixed up. */
  asked: (frame: string) => void = () => undefined;
  heard: (frame: string) => void = () => undefined;

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
    this.#pump(near, far, open, (text) => this.asked(text));
    this.#pump(far, near, Promise.resolve(), (text) => this.heard(text));
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      one.on('error', () => undefined);
      one.on('close', () => other.terminate());
    }
  }

  #pump(from: WebSocket, to: WebSocket, open: Promise<unknown>, heard: (text: string) => void): void {
    const send = (text: string) => {
      this.passed += 1;
      if (to.readyState === to.OPEN) to.send(text);
    };
    const shuffler = new Shuffler(this.disorder, send);
    let first = true;
    from.on('message', (data: Buffer) => {
      const text = data.toString();
      const isFirst = first;
      first = false;
      this.taken += 1;
      heard(text);
      if (isFirst) void open.then(() => send(text));
      else shuffler.put(text);
    });
  }
}

import { once } from 'node:events';
import type { ManualClock } from '@agent-orchestrator/core/testing';
import { onTestFinished } from 'vitest';
import { WebSocket } from 'ws';

type Frame = Record<string, unknown>;

/** The other side of a socket: keeps what came, and waits for what is to come. */
export class SocketPeer {
  readonly socket: WebSocket;
  readonly frames: Frame[] = [];
  readonly opened: Promise<void>;
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>;
  #taken = 0;
  #wakeup: () => void = () => undefined;
  #over = false;

  constructor(url: string, headers: Readonly<Record<string, string>> = {}) {
    this.socket = new WebSocket(url.replace(/^http/, 'ws'), { headers });
    this.opened = new Promise((resolve, reject) => {
      this.socket.once('open', () => resolve());
      this.socket.once('error', reject);
    });
    this.opened.catch(() => undefined);
    this.socket.on('error', () => undefined);
    this.closed = new Promise((resolve) => {
      this.socket.once('close', (code, reason) => {
        this.#over = true;
        this.#wakeup();
        resolve({ code, reason: reason.toString() });
      });
    });
    this.socket.on('message', (data: Buffer) => {
      this.frames.push(JSON.parse(data.toString()) as Frame);
      this.#wakeup();
    });
    onTestFinished(() => this.socket.terminate());
  }

  send(frame: unknown): void {
    this.socket.send(typeof frame === 'string' ? frame : JSON.stringify(frame));
  }

  /** The next frame that has not been taken. */
  async next(): Promise<Frame> {
    for (;;) {
      const frame = this.frames[this.#taken];
      if (frame) {
        this.#taken += 1;
        return frame;
      }
      if (this.#over) throw new Error('the socket closed before the frame came');
      await new Promise<void>((resolve) => (this.#wakeup = resolve));
    }
  }

  /** The next frame that fits; those before it are passed over. */
  async until(fits: (frame: Frame) => boolean): Promise<Frame> {
    for (;;) {
      const frame = await this.next();
      if (fits(frame)) return frame;
    }
  }

  /** Moves on by `ms`, to the next heartbeat. Resolves when the server has the answer to its ping, or has closed. */
  async heartbeat(clock: ManualClock, ms: number): Promise<void> {
    const pinged = once(this.socket, 'ping');
    await clock.advance(ms);
    await Promise.race([pinged, this.closed]);
    await this.answered();
  }

  /** Resolves when the server has read everything sent so far, or has closed. */
  async answered(): Promise<void> {
    const pong = once(this.socket, 'pong');
    this.socket.ping(undefined, undefined, () => undefined);
    await Promise.race([pong, this.closed]);
  }

  get isOpen(): boolean {
    return this.socket.readyState === this.socket.OPEN;
  }

  /** The next frame of an event. */
  event(name: string): Promise<Frame> {
    return this.until((frame) => frame['event'] === name);
  }
}

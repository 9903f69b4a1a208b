import type { Duplex } from 'node:stream';
import { JsonRefusedError, type JsonValue, parseJson } from '@agent-orchestrator/core';
import type { RawData, WebSocket } from 'ws';
import { CLOSE, closeReason } from './close-codes.js';

/** What a connection makes of what happens on its socket. */
export interface FrameHandler {
  /** @param bytes of its text, as it came. */
  frame(frame: JsonValue, bytes: number): void;
  /** A text that is not JSON, or not JSON that is taken. */
  unreadable(reason: string): void;
  /** No first frame in time, or too much before it. */
  noHello(reason: string): void;
  /** Every `heartbeatMs`, once admitted. */
  beat(): void;
  closed(): void;
}

export interface FrameSocketOptions {
  readonly heartbeatMs: number;
  /** How long the first frame may take, in milliseconds. */
  readonly helloMs: number;
}

/** How much may come before the first frame is complete, in bytes. */
const HELLO_BYTES = 4096;
/** How long the other side has to close with us, in milliseconds. */
const CLOSING_MS = 2_000;

/**
 * A WebSocket that carries JSON texts. It begins unadmitted, with a deadline and a few bytes for the first frame;
 * `greeted()` lifts both, and `admit()` begins the heartbeat: a ping each `heartbeatMs`, and the end if the last was not
 * answered.
 */
export class FrameSocket {
  readonly #socket: WebSocket;
  readonly #handler: FrameHandler;
  readonly #options: FrameSocketOptions;
  #helloTimer: NodeJS.Timeout | undefined;
  #heartbeat: NodeJS.Timeout | undefined;
  #closingTimer: NodeJS.Timeout | undefined;
  #greeted = false;
  #bytesBefore = 0;
  #answered = true;

  constructor(socket: WebSocket, stream: Duplex, handler: FrameHandler, options: FrameSocketOptions) {
    this.#socket = socket;
    this.#handler = handler;
    this.#options = options;
    this.#helloTimer = setTimeout(
      () => handler.noHello(`expected a first frame within ${options.helloMs} ms`),
      options.helloMs,
    );
    socket.on('message', (data, isBinary) => this.#receive(data, isBinary));
    socket.on('pong', () => (this.#answered = true));
    // ws closes the socket itself after an error of the protocol, with the code that belongs to it.
    socket.on('error', () => this.#endLater(CLOSING_MS));
    socket.once('close', () => this.#closed());
    const count = (chunk: Buffer) => {
      this.#bytesBefore += chunk.byteLength;
      if (this.#greeted) stream.off('data', count);
      else if (this.#bytesBefore > HELLO_BYTES) this.#tooMuch();
    };
    // Behind the listener of ws, which has handed on the first frame by then, if it is complete.
    stream.on('data', count);
  }

  get isOpen(): boolean {
    return this.#socket.readyState === this.#socket.OPEN;
  }

  /** What has been sent and has not left the process, in bytes. */
  get unsentBytes(): number {
    return this.#socket.bufferedAmount;
  }

  /** A credential has come: what may come before it is no longer limited. How long its check takes, is, elsewhere. */
  greeted(): void {
    this.#greeted = true;
    clearTimeout(this.#helloTimer);
  }

  /** The other side is who it says: heartbeat on. */
  admit(): void {
    if (!this.isOpen) return;
    this.#heartbeat = setInterval(() => this.#beat(), this.#options.heartbeatMs);
  }

  /** `sent` is called when the text has left the process, or can't any more. */
  send(text: string | Buffer, sent?: () => void): void {
    if (!this.isOpen) {
      sent?.();
      return;
    }
    this.#socket.send(text, { binary: false }, sent);
  }

  sendJson(frame: object): void {
    this.send(JSON.stringify(frame));
  }

  /** Says goodbye; whoever has not answered after `withinMs` is cut off. */
  close(code: number, reason: string, withinMs = CLOSING_MS): void {
    this.#stopTimers();
    this.#socket.close(code, closeReason(reason));
    this.#endLater(withinMs);
  }

  #receive(data: RawData, isBinary: boolean): void {
    if (!this.isOpen) return;
    if (isBinary) {
      this.close(CLOSE.notText, 'expected text, got binary');
      return;
    }
    const bytes = data as Buffer;
    if (!this.#greeted && bytes.byteLength > HELLO_BYTES) {
      this.#tooMuch();
      return;
    }
    this.#greeted = true;
    let frame: JsonValue;
    try {
      frame = parseJson(bytes.toString('utf8'));
    } catch (error) {
      this.#handler.unreadable(error instanceof JsonRefusedError ? error.reason : 'expected JSON');
      return;
    }
    this.#handler.frame(frame, bytes.byteLength);
  }

  #tooMuch(): void {
    this.#greeted = true;
    this.#handler.noHello(`expected at most ${HELLO_BYTES} bytes before the first frame`);
  }

  #beat(): void {
    // A process that was busy for long reads the pongs that have come meanwhile before it judges.
    setImmediate(() => {
      if (!this.isOpen) return;
      if (!this.#answered) {
        this.#socket.terminate();
        return;
      }
      this.#answered = false;
      this.#socket.ping();
      this.#handler.beat();
    });
  }

  #endLater(ms: number): void {
    this.#closingTimer ??= setTimeout(() => this.#socket.terminate(), ms);
  }

  #stopTimers(): void {
    clearTimeout(this.#helloTimer);
    clearInterval(this.#heartbeat);
  }

  #closed(): void {
    this.#stopTimers();
    clearTimeout(this.#closingTimer);
    this.#handler.closed();
  }
}

import type { Duplex } from 'node:stream';
import {
  JSON_PORTION,
  JsonRefusedError,
  type JsonValue,
  parseJson,
  parseJsonInPortions,
  writeJson,
} from '@agent-orchestrator/core';
import type { RawData, WebSocket } from 'ws';
import type { Pace } from './budgets.js';
import { CLOSE, closeReason } from './close-codes.js';

/** What a connection makes of what happens on its socket. */
export interface FrameHandler {
  /** Whose share of the event loop its long frames take. */
  readonly share: string;
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

/** How fast frames may come, and what becomes of a socket whose frames come faster: it is not read for a while, or closed. */
export interface ReadingPace {
  readonly pace: Pace;
  readonly beyond: 'wait' | 'close';
}

/** How much may come before the first frame is complete, in bytes. */
const HELLO_BYTES = 4096;
/** Frames that are handled in a row before others have their turn. */
const FRAMES_IN_A_ROW = 50;
/** How long others have their turn then, in milliseconds. */
const TURN_MS = 2;
/** How long the other side has to close with us, in milliseconds. */
const CLOSING_MS = 2_000;

/**
 * A WebSocket that carries JSON texts. It begins unadmitted, with a deadline and a few bytes for the first frame;
 * `greeted()` lifts both, and `admit()` begins the heartbeat: a ping each `heartbeatMs`, and the end if nothing has come
 * since the last. A socket that is ahead of its pace is not read for a while: what it sends fills the buffers of the network
 * then, and holds up the sender.
 */
export class FrameSocket {
  readonly #socket: WebSocket;
  readonly #handler: FrameHandler;
  readonly #options: FrameSocketOptions;
  readonly #reading: ReadingPace;
  #helloTimer: NodeJS.Timeout | undefined;
  #heartbeat: NodeJS.Timeout | undefined;
  #closingTimer: NodeJS.Timeout | undefined;
  #greeted = false;
  #bytesBefore = 0;
  #answered = true;
  /** While it runs, nothing is read. */
  #idle: NodeJS.Timeout | undefined;
  /** A long frame is being read: nothing else is until then, so that frames stay in order. */
  #parsing: Promise<void> | undefined;
  /** Fires when the socket is closed from here: what is still to be read is dropped. */
  readonly #dropped = new AbortController();
  /** What was on its way when reading was stopped: at most what one read of the socket had in it. */
  #unread: (() => void)[] = [];
  #inARow = 0;
  /** Nothing more comes: what has come is handled without a rest. */
  #isGone = false;

  constructor(
    socket: WebSocket,
    stream: Duplex,
    handler: FrameHandler,
    options: FrameSocketOptions & { readonly reading: ReadingPace },
  ) {
    this.#socket = socket;
    this.#handler = handler;
    this.#options = options;
    this.#reading = options.reading;
    this.#helloTimer = setTimeout(
      () => handler.noHello(`expected a first frame within ${options.helloMs} ms`),
      options.helloMs,
    );
    socket.on('message', (data, isBinary) => this.#inTurn(() => this.#receive(data, isBinary)));
    // ws has answered it: a flood of them costs as much as one of frames.
    socket.on('ping', () => this.#inTurn(() => this.#counted(0)));
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
    this.send(writeJson(frame));
  }

  /** Says goodbye; whoever has not answered after `withinMs` is cut off. */
  close(code: number, reason: string, withinMs = CLOSING_MS): void {
    this.#stopTimers();
    this.#unread = [];
    this.#dropped.abort();
    // The other side's answer is read even if nothing else is.
    this.#socket.resume();
    this.#socket.close(code, closeReason(reason));
    this.#endLater(withinMs);
  }

  #receive(data: RawData, isBinary: boolean): void {
    // What came before the other side closed is handled all the same.
    if (this.#dropped.signal.aborted) return;
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
    if (!this.#counted(bytes.byteLength)) return;
    const text = bytes.toString('utf8');
    if (text.length > JSON_PORTION) {
      this.#socket.pause();
      this.#parsing = this.#takeLong(text, bytes.byteLength).finally(() => {
        this.#parsing = undefined;
        this.#pump();
      });
      return;
    }
    let frame: JsonValue;
    try {
      frame = parseJson(text);
    } catch (error) {
      this.#handler.unreadable(reasonOf(error));
      return;
    }
    this.#handler.frame(frame, bytes.byteLength);
  }

  /** Reads a portion a turn of the event loop. */
  async #takeLong(text: string, bytes: number): Promise<void> {
    const { signal } = this.#dropped;
    let frame: JsonValue;
    try {
      frame = await parseJsonInPortions(text, { share: this.#handler.share, signal, partsOnly: true });
    } catch (error) {
      if (!signal.aborted) this.#handler.unreadable(reasonOf(error));
      return;
    }
    this.#handler.frame(frame, bytes);
  }

  /** Now, or when the socket is read again. */
  #inTurn(handle: () => void): void {
    this.#answered = true;
    if (this.#idle || this.#parsing) this.#unread.push(handle);
    else handle();
  }

  /** What waits is handled in its order; what has the socket wait again has the rest wait as well. */
  #pump(): void {
    const waiting = this.#unread;
    this.#unread = [];
    for (const handle of waiting) this.#inTurn(handle);
    if (!this.#idle && !this.#parsing) this.#socket.resume();
  }

  /** Whether a frame may be handled; stops reading when the next one has to wait. */
  #counted(bytes: number): boolean {
    if (this.#dropped.signal.aborted) return false;
    if (this.#isGone) return true;
    const { pace, beyond } = this.#reading;
    const waitMs = pace.take(bytes);
    if (waitMs > 0 && beyond === 'close') {
      this.close(CLOSE.tooManyFrames, 'too many frames');
      return false;
    }
    this.#inARow += 1;
    if (waitMs > 0 || this.#inARow >= FRAMES_IN_A_ROW) this.#rest(Math.max(waitMs, TURN_MS));
    return true;
  }

  #rest(ms: number): void {
    if (this.#idle) return;
    this.#socket.pause();
    this.#idle = setTimeout(() => {
      this.#idle = undefined;
      this.#inARow = 0;
      this.#pump();
    }, ms);
  }

  #tooMuch(): void {
    this.#greeted = true;
    this.#handler.noHello(`expected at most ${HELLO_BYTES} bytes before the first frame`);
  }

  #beat(): void {
    // A process that was busy for long reads the pongs that have come meanwhile before it judges.
    setImmediate(() => {
      if (!this.isOpen) return;
      // Of a socket that is not read nothing can be heard.
      if (!this.#answered && !this.#idle && !this.#parsing) {
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
    clearTimeout(this.#idle);
    this.#idle = undefined;
  }

  #closed(): void {
    this.#stopTimers();
    clearTimeout(this.#closingTimer);
    this.#isGone = true;
    if (this.#parsing || this.#unread.length > 0) void this.#handleRest();
    else this.#handler.closed();
  }

  /** What had come before the end is handled before it. */
  async #handleRest(): Promise<void> {
    while (this.#parsing || this.#unread.length > 0) {
      if (this.#parsing) await this.#parsing;
      else this.#pump();
    }
    this.#handler.closed();
  }
}

function reasonOf(error: unknown): string {
  return error instanceof JsonRefusedError ? error.reason : 'expected JSON';
}

import type { Duplex } from 'node:stream';
import type { Clock, JsonValue } from '@agent-orchestrator/core';
import {
  JSON_PORTION,
  JsonRefusedError,
  parseJson,
  parseJsonInPortions,
  writeJson,
} from '@agent-orchestrator/core/protocol';
import { every } from '@agent-orchestrator/core/server';
import type { RawData, WebSocket } from 'ws';
import type { Pace } from './budgets.js';
import { CLOSE, closeReason } from './close-codes.js';

/** Events of a socket. */
export interface FrameHandler {
  /** Owner charged for event-loop time of long frames. */
  readonly share: string;
  /** @param bytes length of its text. */
  frame(frame: JsonValue, bytes: number): void;
  /** The text is not valid JSON, or violates its limits. */
  unreadable(reason: string): void;
  /** First frame missing or too large. */
  noHello(reason: string): void;
  /** Called each `heartbeatMs` after admission. */
  beat(): void;
  closed(): void;
}

export interface FrameSocketOptions {
  readonly clock: Clock;
  readonly heartbeatMs: number;
  /** Time limit of the first frame, ms. */
  readonly helloMs: number;
}

/** Rate limit of incoming frames, and its effect: pause reading, or close. */
export interface ReadingPace {
  readonly pace: Pace;
  readonly beyond: 'wait' | 'close';
}

/** Maximum of bytes before the first complete frame. */
const HELLO_BYTES = 4096;
/** Frames handled in a row before the socket yields. */
const FRAMES_IN_A_ROW = 50;
/** Length of the yield, ms. */
const TURN_MS = 2;
/** Time for the peer to answer a close frame, ms. */
const CLOSING_MS = 2_000;

/**
 * A WebSocket with JSON texts. It starts unadmitted, with a deadline and a byte limit for the first frame;
 * `greeted()` lifts both, and `admit()` starts the heartbeat: a ping each `heartbeatMs`, and a close if
 * nothing has arrived since the previous one. A socket above its rate is not read for a while: TCP
 * backpressure slows the sender.
 */
export class FrameSocket {
  readonly #socket: WebSocket;
  readonly #handler: FrameHandler;
  readonly #options: FrameSocketOptions;
  readonly #reading: ReadingPace;
  readonly #stopHelloTimer: () => void;
  #stopHeartbeat: () => void = () => undefined;
  #stopClosingTimer: (() => void) | undefined;
  #greeted = false;
  #bytesBefore = 0;
  #answered = true;
  /** Ends the reading pause early, without handling what waits. */
  #stopRest: (() => void) | undefined;
  /** A long frame is being parsed: later ones wait, to keep the order. */
  #parsing: Promise<void> | undefined;
  /** Aborts at a local close: unread frames are dropped. */
  readonly #dropped = new AbortController();
  /** Frames already read when reading paused: at most one read of the socket. */
  #unread: (() => void)[] = [];
  #inARow = 0;
  /** The peer has closed: remaining frames are handled without a pause. */
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
    const { clock, helloMs } = options;
    this.#stopHelloTimer = clock.after(helloMs, () =>
      handler.noHello(`expected a first frame within ${helloMs} ms`),
    );
    socket.on('message', (data, isBinary) => this.#inTurn(() => this.#receive(data, isBinary)));
    // ws answers pings itself; a flood of them counts as frames.
    socket.on('ping', () => this.#inTurn(() => this.#counted(0)));
    socket.on('pong', () => (this.#answered = true));
    // ws closes the socket after a protocol error, with the right code.
    socket.on('error', () => this.#endLater(CLOSING_MS));
    socket.once('close', () => this.#closed());
    const count = (chunk: Buffer) => {
      this.#bytesBefore += chunk.byteLength;
      if (this.#greeted) stream.off('data', count);
      else if (this.#bytesBefore > HELLO_BYTES) this.#tooMuch();
    };
    // After the listener of ws, which has emitted a complete first frame by then.
    stream.on('data', count);
  }

  get isOpen(): boolean {
    return this.#socket.readyState === this.#socket.OPEN;
  }

  /** Bytes that have not left the process. */
  get unsentBytes(): number {
    return this.#socket.bufferedAmount;
  }

  /** A credential has arrived: lifts the limits before it. Its check has a time limit of its own. */
  greeted(): void {
    this.#greeted = true;
    this.#stopHelloTimer();
  }

  /** Authenticated: starts the heartbeat. */
  admit(): void {
    if (!this.isOpen) return;
    const { clock, heartbeatMs } = this.#options;
    this.#stopHeartbeat = every(clock, heartbeatMs, () => this.#beat());
  }

  /** `sent` is called when the text has left the process, or never will. */
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

  /** Sends a close frame; destroys the socket without an answer after `withinMs`. */
  close(code: number, reason: string, withinMs = CLOSING_MS): void {
    this.#stopTimers();
    this.#unread = [];
    this.#dropped.abort();
    // The answer to the close is read even while reading is paused.
    this.#socket.resume();
    this.#socket.close(code, closeReason(reason));
    this.#endLater(withinMs);
  }

  #receive(data: RawData, isBinary: boolean): void {
    // Frames received before the peer's close are still handled.
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

  /** Parses one portion per turn of the event loop. */
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

  /** Now, or when reading resumes. */
  #inTurn(handle: () => void): void {
    this.#answered = true;
    if (this.#stopRest || this.#parsing) this.#unread.push(handle);
    else handle();
  }

  /** Handles waiting frames in order, until the socket pauses again. */
  #pump(): void {
    const waiting = this.#unread;
    this.#unread = [];
    for (const handle of waiting) this.#inTurn(handle);
    if (!this.#stopRest && !this.#parsing) this.#socket.resume();
  }

  /** Whether a frame may be handled; pauses reading when the next one has to wait. */
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
    if (this.#stopRest) return;
    this.#socket.pause();
    this.#stopRest = this.#options.clock.after(ms, () => {
      this.#stopRest = undefined;
      this.#inARow = 0;
      this.#pump();
    });
  }

  #tooMuch(): void {
    this.#greeted = true;
    this.#handler.noHello(`expected at most ${HELLO_BYTES} bytes before the first frame`);
  }

  #beat(): void {
    // After a long pause of the process, pending pongs are read before the verdict.
    setImmediate(() => {
      if (!this.isOpen) return;
      // A paused socket cannot receive a pong.
      if (!this.#answered && !this.#stopRest && !this.#parsing) {
        this.#socket.terminate();
        return;
      }
      this.#answered = false;
      this.#socket.ping();
      this.#handler.beat();
    });
  }

  #endLater(ms: number): void {
    this.#stopClosingTimer ??= this.#options.clock.after(ms, () => this.#socket.terminate());
  }

  #stopTimers(): void {
    this.#stopHelloTimer();
    this.#stopHeartbeat();
    this.#stopRest?.();
    this.#stopRest = undefined;
  }

  #closed(): void {
    this.#stopTimers();
    this.#stopClosingTimer?.();
    this.#isGone = true;
    if (this.#parsing || this.#unread.length > 0) void this.#handleRest();
    else this.#handler.closed();
  }

  /** Handles the frames received before the end. */
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

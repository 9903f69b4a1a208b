import { writeJson } from '@agent-orchestrator/core';
import type { EventFrame } from '../client-socket/event-frame.js';
import {
  OUTBOUND_LIMITS,
  type OutboundFormat,
  OutboundQueue,
  type OutboundSocket,
} from '../client-socket/outbound-queue.js';
import type { Subscription, SubscriptionSink } from '../client-socket/subscription.js';
import { errorFrame } from '../sockets/error-frame.js';
import { formatSse, RETRY, SSE_HEARTBEAT } from './sse.js';

/** What a stream does with what its subscription says of itself. */
export interface EventStreamParts {
  readonly heartbeatMs: number;
  /** Whether the reader wants the state first; one that resumes has it. */
  readonly sendsState: boolean;
  /** Whether an event, or the state after a gap, is the last that there is to tell. */
  isLast(told: { readonly event: string; readonly snapshot?: object }): boolean;
  /** Each `heartbeatMs`, while the stream is open. */
  beat(): void;
  /** Once, however it ends; also of a stream that nobody has begun to read. */
  ended(): void;
}

interface Piece {
  readonly bytes: Buffer;
  readonly sent: () => void;
}

const SSE: OutboundFormat = {
  control: (frame) => frame as Buffer,
  event: (frame) => frame.sse,
  coalesced: ({ event }, from) =>
    formatSse(event.event, event.cursor, JSON.stringify({ ...event, coalesced_from: from })),
};

/**
 * The events of one topic as a stream for one reader of HTTP. It is `open` until its last event is read, it is ended, the
 * reader goes, or is too slow; what waits for the reader is bounded as that of a socket is.
 */
export class EventStream implements SubscriptionSink, OutboundSocket, AsyncIterableIterator<Buffer> {
  readonly #parts: EventStreamParts;
  readonly #queue: OutboundQueue;
  readonly #heartbeat: NodeJS.Timeout;
  #pieces: Piece[] = [];
  /** Of what the queue has handed on and the reader has not taken, in bytes. */
  unsentBytes = 0;
  /** What the reader has, until it asks for more. */
  #taken: Piece | undefined;
  #state: 'open' | 'last told' | 'too slow' | 'ended' = 'open';
  #wasQuiet = false;
  #wake: () => void = () => undefined;

  constructor(parts: EventStreamParts) {
    this.#parts = parts;
    this.#queue = new OutboundQueue(this, OUTBOUND_LIMITS, SSE, () => this.#end('too slow'));
    this.#heartbeat = setInterval(() => this.#beat(), parts.heartbeatMs);
    this.#queue.control(RETRY);
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  control(frame: object): void {
    if (!this.isOpen) return;
    const { event, id: _, ...told } = frame as { event: string; id: string; to?: string; cursor?: string };
    const isState = event === 'subscribed';
    if (isState && !this.#parts.sendsState) return;
    const name = isState ? 'snapshot' : event;
    const text = writeJson({ event: name, ...told });
    this.#queue.control(formatSse(name, told.to ?? told.cursor ?? '', text));
    if (this.#parts.isLast({ ...told, event })) this.#finish();
  }

  event(frame: EventFrame): void {
    if (!this.isOpen) return;
    this.#wasQuiet = false;
    this.#queue.event(frame);
    if (this.#parts.isLast(frame.event)) this.#finish();
  }

  room(): Promise<void> {
    return this.#queue.room();
  }

  failed(_: Subscription, error: unknown): void {
    this.fail(error);
  }

  /** Tells an error as the last event. */
  fail(error: unknown): void {
    if (!this.isOpen) return;
    this.#queue.control(formatSse('error', undefined, JSON.stringify(errorFrame(error))));
    this.#finish();
  }

  /** Ends the stream; what the reader has not taken is dropped. */
  end(): void {
    this.#end('ended');
  }

  send(bytes: Buffer, sent: () => void): void {
    this.#pieces.push({ bytes, sent });
    this.unsentBytes += bytes.byteLength;
    this.#wake();
  }

  /** The next piece. Asking for it says that the one before has been passed on. */
  async next(): Promise<IteratorResult<Buffer, undefined>> {
    this.#passedOn();
    for (;;) {
      if (this.#state === 'too slow') throw new Error('the reader of a stream was too slow');
      const piece = this.#state === 'ended' ? undefined : this.#pieces.shift();
      if (piece) {
        this.#taken = piece;
        return { done: false, value: piece.bytes };
      }
      if (this.#state === 'last told') this.#end('ended');
      if (this.#state === 'ended') return { done: true, value: undefined };
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  return(): Promise<IteratorResult<Buffer, undefined>> {
    this.end();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #passedOn(): void {
    const taken = this.#taken;
    this.#taken = undefined;
    if (!taken) return;
    this.unsentBytes -= taken.bytes.byteLength;
    taken.sent();
  }

  #beat(): void {
    if (!this.isOpen) return;
    this.#parts.beat();
    if (this.#wasQuiet && this.isOpen) this.#queue.control(SSE_HEARTBEAT);
    this.#wasQuiet = true;
  }

  /** The reader still gets what waits for it. */
  #finish(): void {
    this.#state = 'last told';
    clearInterval(this.#heartbeat);
    this.#wake();
  }

  #end(state: 'too slow' | 'ended'): void {
    if (this.#state === 'ended' || this.#state === 'too slow') return;
    this.#state = state;
    clearInterval(this.#heartbeat);
    this.#queue.end();
    this.#pieces = [];
    this.#wake();
    this.#parts.ended();
  }
}

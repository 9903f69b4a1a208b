import type { Clock } from '@agent-orchestrator/core';
import { every, Fifo, WakeSignal } from '@agent-orchestrator/core/server';
import { writeJson } from '@agent-orchestrator/core/protocol';
import type { EventFrame } from '../events/event-frame.js';
import {
  OUTBOUND_LIMITS,
  type OutboundFormat,
  OutboundQueue,
  type OutboundSocket,
} from '../client-socket/outbound-queue.js';
import type { Subscription, SubscriptionSink } from '../client-socket/subscription.js';
import { errorFrame } from '../sockets/error-frame.js';
import { formatSse, RETRY, SSE_HEARTBEAT } from '../events/sse-format.js';

/** Behaviour of a stream at the events of its subscription. */
export interface EventStreamParts {
  readonly heartbeatMs: number;
  readonly clock: Clock;
  /** Whether to send the snapshot first; a resuming reader has it. */
  readonly sendsState: boolean;
  /** Whether an event, or the snapshot after a gap, is the last one of the topic. */
  isLast(fields: { readonly event: string; readonly snapshot?: object }): boolean;
  /** Called each `heartbeatMs` while the stream is open. */
  beat(): void;
  /** Called once at the end, also for a stream that was never read. */
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
 * Events of one topic as an HTTP stream. It is open until its last event is read, it is ended, the reader
 * disconnects, or is too slow; the outbound queue has the limits of a socket's.
 */
export class EventStream implements SubscriptionSink, OutboundSocket, AsyncIterableIterator<Buffer> {
  readonly #parts: EventStreamParts;
  readonly #queue: OutboundQueue;
  readonly #stopHeartbeat: () => void;
  readonly #pieces = new Fifo<Piece>();
  /** Bytes handed over by the queue and not yet read. */
  unsentBytes = 0;
  /** The piece being read. */
  #taken: Piece | undefined;
  #state: 'open' | 'last sent' | 'too slow' | 'ended' = 'open';
  #wasQuiet = false;
  readonly #changed = new WakeSignal();

  constructor(parts: EventStreamParts) {
    this.#parts = parts;
    const { clock, heartbeatMs } = parts;
    this.#queue = new OutboundQueue({ socket: this, clock, limits: OUTBOUND_LIMITS, format: SSE }, () =>
      this.#end('too slow'),
    );
    this.#stopHeartbeat = every(clock, heartbeatMs, () => this.#beat());
    this.#queue.control(RETRY);
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  control(frame: object): void {
    if (!this.isOpen) return;
    const { event, id: _, ...fields } = frame as { event: string; id: string; to?: string; cursor?: string };
    const isState = event === 'subscribed';
    if (isState && !this.#parts.sendsState) return;
    const name = isState ? 'snapshot' : event;
    const text = writeJson({ event: name, ...fields });
    this.#queue.control(formatSse(name, fields.to ?? fields.cursor ?? '', text));
    if (this.#parts.isLast({ ...fields, event })) this.#finish();
  }

  /** An event without a position: a reader that reconnects does not resume. */
  message(event: string, data: object): void {
    if (!this.isOpen) return;
    this.#wasQuiet = false;
    this.#queue.control(formatSse(event, undefined, JSON.stringify(data)));
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

  /** Ends with an error event. */
  fail(error: unknown): void {
    if (!this.isOpen) return;
    this.#queue.control(formatSse('error', undefined, JSON.stringify(errorFrame(error))));
    this.#finish();
  }

  /** Ends the stream and drops what was not read. */
  end(): void {
    this.#end('ended');
  }

  send(bytes: Buffer, sent: () => void): void {
    this.#pieces.push({ bytes, sent });
    this.unsentBytes += bytes.byteLength;
    this.#changed.notify();
  }

  /** The next piece; acknowledges the one before. */
  async next(): Promise<IteratorResult<Buffer, undefined>> {
    this.#passedOn();
    for (;;) {
      if (this.#state === 'too slow') throw new Error('the reader of a stream was too slow');
      const piece = this.#state === 'ended' ? undefined : this.#pieces.shift();
      if (piece) {
        this.#taken = piece;
        return { done: false, value: piece.bytes };
      }
      if (this.#state === 'last sent') this.#end('ended');
      if (this.#state === 'ended') return { done: true, value: undefined };
      await this.#changed.next;
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

  /** Ends after the queued frames. */
  #finish(): void {
    this.#state = 'last sent';
    this.#stopHeartbeat();
    this.#changed.notify();
  }

  #end(state: 'too slow' | 'ended'): void {
    if (this.#state === 'ended' || this.#state === 'too slow') return;
    this.#state = state;
    this.#stopHeartbeat();
    this.#queue.end();
    this.#pieces.clear();
    this.#changed.notify();
    this.#parts.ended();
  }
}

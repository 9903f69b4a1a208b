import { type Clock, OrchestratorError, type TenantHandle } from '@agent-orchestrator/core';
import { pause } from '@agent-orchestrator/core/server';
import { type Topic } from '@agent-orchestrator/core/protocol';
import { type Cursor, formatCursor } from '@agent-orchestrator/core/protocol';
import { EventFrame, isAfter, positionOf, topicKey, topicKeysOf } from '../events/event-frame.js';
import type { FeedListener, TenantFeed } from './tenant-feed.js';

/** Destination of a subscription's frames. */
export interface SubscriptionSink {
  control(frame: object): void;
  /** Sends an event unless another subscription of the connection has sent it. */
  event(frame: EventFrame, from: Subscription): void;
  /** Resolves when a slow reader can take more. */
  room(): Promise<void>;
  /** The subscription failed to start and has ended. */
  failed(subscription: Subscription, error: unknown): void;
}

export interface SubscriptionParts {
  readonly id: string;
  readonly topic: Topic;
  readonly tenant: TenantHandle;
  readonly feed: TenantFeed;
  readonly clock: Clock;
  readonly sink: SubscriptionSink;
}

type State = Awaited<ReturnType<TenantHandle['events']['snapshot']>>;

const RETRY_MS = 1_000;

/**
 * A topic that a client follows. States: `joining` reads the log itself until it has caught up with the feed;
 * `live` receives events from the feed. A gap moves it back to `joining` with a new snapshot. In every state
 * it sends the events after `#last`, once and in order.
 */
export class Subscription implements FeedListener {
  readonly id: string;
  readonly #parts: SubscriptionParts;
  readonly #key: string;
  readonly #ended = new AbortController();
  readonly #stopListening: () => void;
  #state: 'joining' | 'live' = 'joining';
  /** Events after `#from` up to `#last` were sent. */
  #from: Cursor | undefined;
  #last: Cursor | undefined;

  constructor(parts: SubscriptionParts) {
    this.id = parts.id;
    this.#parts = parts;
    this.#key = topicKey(parts.topic);
    this.#stopListening = parts.feed.listen(this.#key, this);
  }

  get topic(): Topic {
    return this.#parts.topic;
  }

  /** Cursor up to which the topic was sent; `undefined` before the start. */
  get position(): Cursor | undefined {
    const feed = this.#parts.feed.position;
    if (this.#state === 'joining' || !this.#last || !feed) return this.#last;
    return isAfter(feed, this.#last) ? feed : this.#last;
  }

  /** Reads the snapshot and continues from it. */
  async start(after: string | undefined): Promise<void> {
    const { tenant, topic, sink } = this.#parts;
    try {
      await this.startFrom(await tenant.events.snapshot(topic, after), after);
    } catch (error) {
      if (!this.#ended.signal.aborted) sink.failed(this, error);
    }
  }

  /** Sends the snapshot with its cursor, then events after `after`, or after the snapshot. */
  async startFrom({ snapshot, cursor }: State, after: string | undefined): Promise<void> {
    const { id, feed, sink } = this.#parts;
    try {
      await feed.started;
      if (this.#ended.signal.aborted) return;
      sink.control({ event: 'subscribed', id, cursor, snapshot });
      if (after === undefined) {
        this.#begin(positionOf(cursor));
      } else {
        const [wanted, head] = [positionOf(after), positionOf(cursor)];
        // The start cursor may predate the epoch of the log: the log decides.
        const reachable = wanted.seq === 0 || (wanted.epoch === head.epoch && wanted.seq <= head.seq);
        this.#begin(reachable ? wanted : head);
        if (!reachable) sink.control({ event: 'gap', id, from: after, to: cursor, snapshot });
      }
    } catch (error) {
      if (!this.#ended.signal.aborted) sink.failed(this, error);
      return;
    }
    await this.#join();
  }

  end(): void {
    this.#ended.abort();
    this.#stopListening();
  }

  event(frame: EventFrame): void {
    if (this.#state === 'live') this.#offer(frame);
  }

  gap(): void {
    if (this.#state !== 'live') return;
    this.#state = 'joining';
    void this.#join(true);
  }

  /** Whether this subscription has sent the event. */
  covers(frame: EventFrame): boolean {
    if (!this.#from || !this.#last || this.#from.epoch !== frame.cursor.epoch) return false;
    if (!isAfter(frame.cursor, this.#from) || isAfter(frame.cursor, this.#last)) return false;
    return topicKeysOf(frame.event).includes(this.#key);
  }

  #begin(at: Cursor): void {
    this.#from = at;
    this.#last = at;
  }

  #offer(frame: EventFrame): void {
    if (this.#last && !isAfter(frame.cursor, this.#last)) return;
    const { epoch } = frame.cursor;
    if (this.#from?.seq === 0 && this.#from.epoch !== epoch) this.#from = { epoch, seq: 0 };
    this.#parts.sink.event(frame, this);
    this.#last = frame.cursor;
  }

  /** Reads until the feed can take over; retries when the log is unavailable. */
  async #join(withGap = false): Promise<void> {
    const { signal } = this.#ended;
    let gap = withGap;
    while (!signal.aborted && this.#state === 'joining') {
      try {
        if (gap) await this.#resume();
        gap = (await this.#catchUp()) === 'gap';
        if (!gap && this.#state === 'joining') await pause(this.#parts.clock, RETRY_MS, signal);
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof OrchestratorError && error.code === 'not_found') {
          this.#parts.sink.failed(this, error);
          return;
        }
        await pause(this.#parts.clock, RETRY_MS, signal);
      }
    }
  }

  /** Sends the gap and a new snapshot. */
  async #resume(): Promise<void> {
    const { id, tenant, topic, sink } = this.#parts;
    const from = this.#last && formatCursor(this.#last);
    const { snapshot, cursor } = await tenant.events.snapshot(topic, from);
    if (this.#ended.signal.aborted) return;
    this.#begin(positionOf(cursor));
    sink.control({ event: 'gap', id, from, to: cursor, snapshot });
  }

  /** Reads the log until it is live, has a gap, or ends. */
  async #catchUp(): Promise<'gap' | 'done'> {
    if (this.#handOver() || !this.#last) return 'done';
    const reading = new AbortController();
    const signal = AbortSignal.any([this.#ended.signal, reading.signal]);
    try {
      for await (const event of this.#parts.tenant.events.log({ after: formatCursor(this.#last), signal })) {
        if (this.#ended.signal.aborted) return 'done';
        if (event.event === 'gap') return 'gap';
        const frame = new EventFrame(event);
        if (topicKeysOf(event).includes(this.#key)) this.#offer(frame);
        else this.#last = frame.cursor;
        if (this.#handOver()) return 'done';
        await this.#parts.sink.room();
      }
    } finally {
      reading.abort();
    }
    return 'done';
  }

  /** Switches to the feed if no event is missing in between. */
  #handOver(): boolean {
    const feed = this.#parts.feed.position;
    if (!feed || !this.#last || feed.epoch !== this.#last.epoch || feed.seq > this.#last.seq) return false;
    this.#state = 'live';
    return true;
  }
}

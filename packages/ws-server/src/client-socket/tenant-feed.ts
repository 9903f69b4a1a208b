import { type Clock, isFinalEvent, type TenantHandle, type Logger } from '@agent-orchestrator/core';
import { pause } from '@agent-orchestrator/core/server';
import { type Cursor, formatCursor } from '@agent-orchestrator/core/protocol';
import { traceDelivery } from './trace-delivery.js';
import { EventFrame, positionOf, topicKeysOf } from '../events/event-frame.js';

/** Subscriber of a topic in a feed. */
export interface FeedListener {
  event(frame: EventFrame): void;
  /** Events up to the feed's position were lost. */
  gap(): void;
}

export interface FeedPorts {
  readonly logger: Logger;
  readonly clock: Clock;
  /** @param lagMs from an event to its delivery. */
  readonly delivered: (lagMs: number) => void;
}

/** Base and cap of the retry delay while the log is unavailable, ms. */
const RETRY_MS = 250;
const MAX_RETRY_MS = 5_000;

/**
 * Follows a tenant's event log once for all its clients of this process. Starts at the head, and resumes from
 * its position after an outage of the log.
 */
export class TenantFeed {
  readonly #tenant: TenantHandle;
  readonly #ports: FeedPorts;
  readonly #listeners = new Map<string, Set<FeedListener>>();
  readonly #stopped = new AbortController();
  #position: Cursor | undefined;
  #started: () => void = () => undefined;
  /** Resolves with the first position. */
  readonly started: Promise<void> = new Promise((resolve) => (this.#started = resolve));
  /** Resolves when the feed has stopped. */
  readonly ended: Promise<void>;

  constructor(tenant: TenantHandle, ports: FeedPorts) {
    this.#tenant = tenant;
    this.#ports = ports;
    this.ended = this.#run();
  }

  /** Cursor up to which events were delivered; `undefined` until started. */
  get position(): Cursor | undefined {
    return this.#position;
  }

  /** @returns a function that unsubscribes. */
  listen(key: string, listener: FeedListener): () => void {
    const listeners = this.#listeners.get(key) ?? new Set();
    this.#listeners.set(key, listeners.add(listener));
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0 && this.#listeners.get(key) === listeners) this.#listeners.delete(key);
    };
  }

  stop(): void {
    this.#stopped.abort();
    this.#started();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopped;
    for (let retryMs = RETRY_MS; !signal.aborted; retryMs = Math.min(retryMs * 2, MAX_RETRY_MS)) {
      try {
        this.#position ??= positionOf((await this.#tenant.events.snapshot({ tenant: true })).cursor);
        this.#started();
        for await (const event of this.#tenant.events.log({ after: formatCursor(this.#position), signal })) {
          retryMs = RETRY_MS;
          if (event.event === 'gap') this.#skip(positionOf(event.to));
          else this.#hand(new EventFrame(event));
        }
      } catch (error) {
        if (signal.aborted) return;
        this.#ports.logger.warn('the event log cannot be followed', {
          tenant_id: this.#tenant.tenantId,
          error: error instanceof Error ? error.message : 'unknown',
        });
      }
      await pause(this.#ports.clock, retryMs / 2 + (Math.random() * retryMs) / 2, signal);
    }
  }

  #hand(frame: EventFrame): void {
    this.#position = frame.cursor;
    const listeners = new Set<FeedListener>();
    for (const key of topicKeysOf(frame.event)) {
      for (const listener of this.#listeners.get(key) ?? []) listeners.add(listener);
    }
    for (const listener of listeners) listener.event(frame);
    if (listeners.size > 0 && isFinalEvent(frame.event.event))
      traceDelivery(this.#tenant, frame, listeners.size);
    this.#ports.delivered(this.#ports.clock.now() - Date.parse(frame.event.timestamp));
  }

  #skip(to: Cursor): void {
    this.#position = to;
    const listeners = new Set([...this.#listeners.values()].flatMap((some) => [...some]));
    for (const listener of listeners) listener.gap();
  }
}

import { setTimeout as delay } from 'node:timers/promises';
import { type Cursor, formatCursor, type TenantHandle, type Logger } from '@agent-orchestrator/core';
import { EventFrame, positionOf, topicKeysOf } from './event-frame.js';

/** Who wants to hear of a topic. */
export interface FeedListener {
  event(frame: EventFrame): void;
  /** Events up to the feed's position are missing. */
  gap(): void;
}

/** Where a feed begins to wait when the log can't be followed, and how long it waits at most, in milliseconds. */
const RETRY_MS = 250;
const MAX_RETRY_MS = 5_000;

/**
 * One tenant's event log, followed once for all clients of the tenant that are connected to this process. It begins at the
 * head, and goes on from its position when the log can't be read for a while.
 */
export class TenantFeed {
  readonly #tenant: TenantHandle;
  readonly #logger: Logger;
  readonly #listeners = new Map<string, Set<FeedListener>>();
  readonly #stopped = new AbortController();
  #position: Cursor | undefined;
  #started: () => void = () => undefined;
  /** Resolves when the feed has a position. */
  readonly started: Promise<void> = new Promise((resolve) => (this.#started = resolve));
  /** Resolves when the feed has ended. */
  readonly ended: Promise<void>;

  constructor(tenant: TenantHandle, logger: Logger) {
    this.#tenant = tenant;
    this.#logger = logger;
    this.ended = this.#run();
  }

  /** Everything up to here has been handed on; `undefined` until started. */
  get position(): Cursor | undefined {
    return this.#position;
  }

  /** @returns what ends it. */
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
        this.#logger.warn('the event log cannot be followed', {
          tenant_id: this.#tenant.tenantId,
          error: error instanceof Error ? error.message : 'unknown',
        });
      }
      await delay(retryMs / 2 + (Math.random() * retryMs) / 2, undefined, { signal }).catch(() => undefined);
    }
  }

  #hand(frame: EventFrame): void {
    this.#position = frame.cursor;
    const listeners = new Set<FeedListener>();
    for (const key of topicKeysOf(frame.event)) {
      for (const listener of this.#listeners.get(key) ?? []) listeners.add(listener);
    }
    for (const listener of listeners) listener.event(frame);
  }

  #skip(to: Cursor): void {
    this.#position = to;
    const listeners = new Set([...this.#listeners.values()].flatMap((some) => [...some]));
    for (const listener of listeners) listener.gap();
  }
}

import type { Clock } from '../runtime/clock.js';
import type { PublishSystemEventParams, SystemEvents } from '../storage/system-events.js';
import type { Wakeup, Wakeups } from '../storage/wakeups.js';
import type { Effects } from './engine-state.js';
import { SystemEventRing } from './events/system-event-ring.js';

/** A tenant at its limit is reported once in this time, ms. */
const REPEAT_SYSTEM_EVENT_MS = 60_000;
const MAX_REMEMBERED = 10_000;

/** Delivers the effects of commands: to subscribers of wakeups, followers of logs, operators. */
export class EffectDelivery {
  readonly wakeups: Wakeups = { subscribe: (listener) => this.#subscribe(listener) };
  readonly systemEvents: SystemEvents;
  readonly #clock: Clock;
  readonly #listeners = new Set<(wakeup: Wakeup) => void>();
  readonly #followers = new Map<string, Set<() => void>>();
  /** When a tenant was last reported to be at its limit. */
  readonly #atLimit = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
    this.systemEvents = new SystemEventRing(clock);
  }

  /** After the command, so that a listener may call the storage. */
  deliver({ wakeups, news, systemEvents }: Effects): void {
    for (const event of systemEvents) if (!this.#isRepeated(event)) this.systemEvents.publish(event);
    for (const wakeup of wakeups) for (const listener of this.#listeners) listener(wakeup);
    for (const tenantId of news) for (const onNews of this.#followers.get(tenantId) ?? []) onNews();
  }

  /** Calls `onNews` after each command that appends to the tenant's log; returns the end of it. */
  follow(tenantId: string, onNews: () => void): () => void {
    const followers = this.#followers.get(tenantId) ?? new Set();
    this.#followers.set(tenantId, followers.add(onNews));
    return () => {
      followers.delete(onNews);
      if (followers.size === 0) this.#followers.delete(tenantId);
    };
  }

  #isRepeated({ kind, fields }: PublishSystemEventParams): boolean {
    const tenantId = fields?.['tenant'];
    if (kind !== 'tenant_at_limit' || tenantId === undefined) return false;
    const now = this.#clock.monotonic();
    if (now - (this.#atLimit.get(tenantId) ?? Number.NEGATIVE_INFINITY) < REPEAT_SYSTEM_EVENT_MS) return true;
    if (this.#atLimit.size >= MAX_REMEMBERED) this.#atLimit.clear();
    this.#atLimit.set(tenantId, now);
    return false;
  }

  #subscribe(listener: (wakeup: Wakeup) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

import type { Wakeup, Wakeups } from '../storage/wakeups.js';
import type { Effects } from './engine-state.js';

/** Those who wait for the effects of commands: subscribers of wakeups, followers of logs. */
export class EffectDelivery {
  readonly wakeups: Wakeups = { subscribe: (listener) => this.#subscribe(listener) };
  readonly #listeners = new Set<(wakeup: Wakeup) => void>();
  readonly #followers = new Map<string, Set<() => void>>();

  /** After the command, so that a listener may call the storage. */
  deliver({ wakeups, news }: Effects): void {
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

  #subscribe(listener: (wakeup: Wakeup) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

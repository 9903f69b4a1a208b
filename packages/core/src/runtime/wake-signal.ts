import type { Clock } from './clock.js';

/** Options of a wait for a wake-up. */
export interface WaitOptions {
  /** Maximum of the wait, ms; needs `clock`. */
  readonly limitMs?: number;
  readonly clock?: Clock;
  /** Ends the wait. */
  readonly signal?: AbortSignal | undefined;
}

class NextCall {
  resolve: () => void = () => {};
  readonly promise = new Promise<void>((resolve) => {
    this.resolve = resolve;
  });
}

/**
 * Wakes waiters when something may have changed. It keeps no state: a waiter checks its condition, and waits again. To miss
 * nothing, either check and wait in one turn, or take `next` before the check.
 */
export class WakeSignal {
  /** Created by the first wait: many signals have none. */
  #waiters: Set<() => void> | undefined;
  #next: NextCall | undefined;

  /** Resolves with the next `notify`. One promise for all who ask before it. */
  get next(): Promise<void> {
    this.#next ??= new NextCall();
    return this.#next.promise;
  }

  /** Wakes all waiters. */
  notify(): void {
    const next = this.#next;
    this.#next = undefined;
    next?.resolve();
    // A waiter removes itself; one that waits again waits for the next call.
    if (this.#waiters) for (const wake of [...this.#waiters]) wake();
  }

  /** Resolves with true at the next `notify`, with false after `limitMs` or when `signal` fires. */
  wait({ clock, limitMs, signal }: WaitOptions): Promise<boolean> {
    if (signal?.aborted === true) return Promise.resolve(false);
    const waiters = (this.#waiters ??= new Set());
    return new Promise((resolve) => {
      const end = (isNotified: boolean) => {
        cancel?.();
        signal?.removeEventListener('abort', onAbort);
        waiters.delete(onNotify);
        resolve(isNotified);
      };
      const onAbort = () => end(false);
      const onNotify = () => end(true);
      const cancel = limitMs === undefined ? undefined : clock?.after(limitMs, onAbort);
      signal?.addEventListener('abort', onAbort, { once: true });
      waiters.add(onNotify);
    });
  }
}

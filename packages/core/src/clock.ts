/** Time, as the rest of the code knows it: tests move it by hand. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Calls `callback` once after `ms`, however long that is; the returned function takes that back. */
  after(ms: number, callback: () => void): () => void;
}

/** Node's timers take no more: one of 24.9 days would fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  after(ms, callback) {
    if (ms <= MAX_TIMER_MS) {
      const timer = setTimeout(callback, ms);
      return () => clearTimeout(timer);
    }
    // In stretches. An infinite wait never ends by itself.
    let left = ms;
    let timer: NodeJS.Timeout;
    const stretch = () => {
      const next = Math.min(left, MAX_TIMER_MS);
      left -= next;
      timer = setTimeout(left > 0 ? stretch : callback, next);
    };
    stretch();
    return () => clearTimeout(timer);
  },
};

/** Waits for `work`, which must not reject, but no longer than `ms`. */
export async function atMost(clock: Clock, ms: number, work: Promise<unknown>): Promise<void> {
  const over = new AbortController();
  await Promise.race([work, pause(clock, ms, over.signal)]);
  over.abort();
}

/**
 * Resolves after `ms`, or earlier when `signal` fires; which of the two, the caller sees at the signal.
 */
export function pause(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted || ms <= 0) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      cancel();
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const cancel = clock.after(ms, done);
    signal?.addEventListener('abort', done, { once: true });
  });
}

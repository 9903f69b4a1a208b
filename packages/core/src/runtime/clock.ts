/** Source of time and timers; tests advance it manually. */
export interface Clock {
  /** Epoch ms. Jumps when the machine's clock is set: for points in time, not for durations. */
  now(): number;
  /** Ms since some moment: never jumps, for durations. */
  monotonic(): number;
  /** Calls `callback` once after `ms`, without an upper limit; the returned function cancels it. */
  after(ms: number, callback: () => void): () => void;
  /**
   * For clocks that a test moves: work has begun that does not follow the clock, such as a request to a service. The returned function
   * marks its end.
   */
  inFlight?(): () => void;
}

/** A longer Node timer fires at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** The clock of the machine. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(ms, callback) {
    let timer: NodeJS.Timeout;
    const wait = (left: number) => {
      const part = Math.min(left, MAX_TIMER_MS);
      timer = setTimeout(() => (left > part ? wait(left - part) : callback()), part);
    };
    wait(ms);
    return () => clearTimeout(timer);
  },
};

/** Does work that does not follow the clock. */
export async function inRealTime<T>(clock: Clock, work: () => T | Promise<T>): Promise<T> {
  const end = clock.inFlight?.();
  try {
    return await work();
  } finally {
    end?.();
  }
}

/** Calls `callback` each `ms`, until the returned function is called. */
export function every(clock: Clock, ms: number, callback: () => void): () => void {
  const tick = () => {
    cancel = clock.after(ms, tick);
    callback();
  };
  let cancel = clock.after(ms, tick);
  return () => cancel();
}

/** Waits for `work`, which must not reject, for up to `ms`, or until `signal` fires. Resolves with whether it has ended. */
export async function atMost(
  clock: Clock,
  ms: number,
  work: Promise<unknown>,
  signal?: AbortSignal,
): Promise<boolean> {
  const over = new AbortController();
  const limit = signal ? AbortSignal.any([over.signal, signal]) : over.signal;
  const hasEnded = await Promise.race([work.then(() => true), pause(clock, ms, limit).then(() => false)]);
  over.abort();
  return hasEnded;
}

/** Resolves after `ms`, or when `signal` fires; check the signal for which. */
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

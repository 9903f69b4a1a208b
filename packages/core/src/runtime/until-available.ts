import { OrchestratorError } from '../protocol/errors.js';
import { fullJitter } from '../protocol/full-jitter.js';
import { type Clock, pause } from './clock.js';
import type { Random } from './random.js';

const MIN_DELAY_MS = 50;
const BASE_MS = 100;
const CAP_MS = 2_000;

/** Options of `untilAvailable`. */
export interface AvailabilityOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Ends the retries: after it fires there is one last try. */
  readonly signal: AbortSignal;
  /** No retry begins after this, epoch ms. */
  readonly until?: number;
  /** Called before each retry. */
  readonly onRetry?: (error: unknown) => void;
}

/**
 * Repeats `work` while the storage is unavailable, with full jitter. Rejects with any other error, and with the last one when
 * retries have ended.
 * @param options called when `work` fails: the usual case needs none.
 */
export async function untilAvailable<T>(
  work: () => Promise<T>,
  options: () => AvailabilityOptions,
): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      const { clock, random, signal, until = Number.POSITIVE_INFINITY, onRetry } = options();
      if (!isUnavailable(error) || signal.aborted || clock.now() > until) throw error;
      onRetry?.(error);
      await pause(clock, MIN_DELAY_MS + fullJitter(random, attempt, BASE_MS, CAP_MS), signal);
    }
  }
}

/** Whether an error says that the storage is unavailable. */
export function isUnavailable(error: unknown): boolean {
  return error instanceof OrchestratorError && error.code === 'storage_unavailable';
}

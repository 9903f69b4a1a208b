import { fullJitter } from '../protocol/full-jitter.js';
import type { Random } from '../runtime/random.js';

const BASE_MS = 1_000;
const CAP_MS = 60_000;

/** Back-off after `attempt`, ms: full jitter up to a minute. */
export function retryDelayMs(random: Random, attempt: number): number {
  return fullJitter(random, attempt, BASE_MS, CAP_MS);
}

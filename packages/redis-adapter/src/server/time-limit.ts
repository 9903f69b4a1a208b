import type { Clock } from '@agent-orchestrator/core';

/** Rejects when an answer takes too long. */
export type TimeLimit = <T>(answer: Promise<T>) => Promise<T>;

export const unlimited: TimeLimit = (answer) => answer;

/** A limit of `ms`; none without `ms`. */
export function timeLimit(clock: Clock, ms: number | undefined): TimeLimit {
  return ms === undefined ? unlimited : (answer) => within(clock, ms, answer);
}

async function within<T>(clock: Clock, ms: number, answer: Promise<T>): Promise<T> {
  let stopTimer = () => {};
  const late = new Promise<never>((_, reject) => {
    stopTimer = clock.after(ms, () => reject(new Error(`no answer within ${ms} ms`)));
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    stopTimer();
  }
}

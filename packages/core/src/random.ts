import { randomUUID } from 'node:crypto';

/** Chance, as the rest of the code knows it: tests draw it from a seed. */
export interface Random {
  /** A UUID v4. */
  uuid(): string;
  /** From 0 up to, but not including, 1. */
  fraction(): number;
}

export const systemRandom: Random = { uuid: () => randomUUID(), fraction: () => Math.random() };

/** Full jitter: anything from 0 to the exponential bound (AWS Architecture Blog, "Exponential Backoff And Jitter"). */
export function fullJitter(random: Random, attempt: number, baseMs: number, capMs: number): number {
  return Math.floor(random.fraction() * Math.min(capMs, baseMs * 2 ** Math.min(attempt - 1, 30)));
}

import type { Claim } from '../storage/task-queue.js';

interface Waiting {
  readonly claim: Claim;
  /** Since when, in milliseconds since 1970. */
  readonly since: number;
  /** Something happened to the task meanwhile. */
  belled: boolean;
}

/** What is claimed ahead is work for so long at most: more would only keep it from workers that are free. */
const AHEAD_MS = 20;
/** How much the newest run counts in the average. */
const NEWEST = 0.05;

/**
 * Claims that wait in this worker for a slot, so that the next task is there when one ends. How many adapts to how long
 * tasks take: hundreds where they take a fraction of a millisecond, none where they take seconds.
 */
export class ClaimsAhead {
  readonly #waiting = new Map<string, Waiting>();
  #averageMs: number | undefined;

  /**
   * @param most claims that may wait.
   * @param slots tasks that are run at once.
   */
  constructor(
    private readonly most: number,
    private readonly slots: number,
  ) {}

  get size(): number {
    return this.#waiting.size;
  }

  /** How many may wait, as tasks are now. */
  get room(): number {
    if (this.most === 0 || this.#averageMs === undefined) return 0;
    const worthwhile = Math.floor((this.slots * AHEAD_MS) / Math.max(this.#averageMs, 0.01));
    return Math.min(this.most, worthwhile);
  }

  /** How long a run took. */
  took(ms: number): void {
    this.#averageMs = this.#averageMs === undefined ? ms : this.#averageMs + (ms - this.#averageMs) * NEWEST;
  }

  add(key: string, claim: Claim, now: number): void {
    this.#waiting.set(key, { claim, since: now, belled: false });
  }

  bell(key: string): void {
    const waiting = this.#waiting.get(key);
    if (waiting) waiting.belled = true;
  }

  /** The one that has waited longest. */
  next(): { readonly claim: Claim; readonly belled: boolean } | undefined {
    for (const [key, waiting] of this.#waiting) {
      this.#waiting.delete(key);
      return waiting;
    }
    return undefined;
  }

  /** Takes out those that have waited since before `since`. */
  takeOlder(since: number): readonly Claim[] {
    const taken: Claim[] = [];
    for (const [key, waiting] of this.#waiting) {
      if (waiting.since > since) break;
      this.#waiting.delete(key);
      taken.push(waiting.claim);
    }
    return taken;
  }
}

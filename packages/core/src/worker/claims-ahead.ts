import { ShortLivedMap } from '../short-lived-map.js';
import type { Claim } from '../storage/task-queue.js';

/** A class, since V8 may allocate literals where only a full collection finds them, with all that they refer to. */
class Waiting {
  /** Something happened to the task meanwhile. */
  belled = false;

  /** @param since in milliseconds since 1970. */
  constructor(
    readonly claim: Claim,
    readonly since: number,
  ) {}
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
  readonly #waiting = new ShortLivedMap<string, Waiting>();
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
    this.#waiting.set(key, new Waiting(claim, now));
  }

  bell(key: string): void {
    const waiting = this.#waiting.get(key);
    if (waiting) waiting.belled = true;
  }

  /** The one that has waited longest. */
  next(): { readonly claim: Claim; readonly belled: boolean } | undefined {
    for (const [key, waiting] of this.#waiting.entries()) {
      this.#waiting.delete(key);
      return waiting;
    }
    return undefined;
  }

  /** Takes out those that have waited since before `since`. */
  takeOlder(since: number): readonly Claim[] {
    const taken: Claim[] = [];
    for (const [key, waiting] of this.#waiting.entries()) {
      if (waiting.since > since) break;
      this.#waiting.delete(key);
      taken.push(waiting.claim);
    }
    return taken;
  }
}

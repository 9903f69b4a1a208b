/** Slots of a window, and their length. */
const SLOTS = 30;
const SLOT_MS = 10_000;
/** Length of the window, seconds. */
export const WINDOW_S = (SLOTS * SLOT_MS) / 1_000;
/** Upper bounds of latencies, ms: each a fifth above the one before, up to about ten minutes. */
const BOUNDS = Array.from({ length: 74 }, (_, n) => 1.2 ** n);
const PART = 0.95;

interface Slot {
  /** Number of the slot since the epoch of the clock. */
  at: number;
  calls: number;
  errors: number;
  readonly latencies: Uint32Array;
}

/** Calls of a service during the last minutes, in memory of a fixed size. */
export class CallWindow {
  readonly #slots: Slot[] = Array.from({ length: SLOTS }, () => ({
    at: -1,
    calls: 0,
    errors: 0,
    latencies: new Uint32Array(BOUNDS.length + 1),
  }));

  /** @param now monotonic, ms. */
  add(now: number, durationMs: number, failed: boolean): void {
    const at = Math.floor(now / SLOT_MS);
    const slot = this.#slots[at % SLOTS] as Slot;
    if (slot.at !== at) {
      [slot.at, slot.calls, slot.errors] = [at, 0, 0];
      slot.latencies.fill(0);
    }
    slot.calls += 1;
    if (failed) slot.errors += 1;
    const bound = BOUNDS.findIndex((most) => durationMs <= most);
    const bucket = bound < 0 ? BOUNDS.length : bound;
    slot.latencies[bucket] = (slot.latencies[bucket] ?? 0) + 1;
  }

  sums(now: number): { readonly calls: number; readonly errors: number; readonly p95_ms?: number } {
    const last = Math.floor(now / SLOT_MS);
    const live = this.#slots.filter(({ at }) => at > last - SLOTS && at <= last && at >= 0);
    const calls = live.reduce((sum, slot) => sum + slot.calls, 0);
    const errors = live.reduce((sum, slot) => sum + slot.errors, 0);
    if (calls === 0) return { calls, errors };
    let left = Math.ceil(calls * PART);
    for (let bucket = 0; bucket < BOUNDS.length; bucket += 1) {
      for (const { latencies } of live) left -= latencies[bucket] ?? 0;
      if (left <= 0) return { calls, errors, p95_ms: Math.ceil(BOUNDS[bucket] as number) };
    }
    return { calls, errors, p95_ms: Math.ceil(BOUNDS.at(-1) as number) };
  }
}

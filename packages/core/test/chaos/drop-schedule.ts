import { type Failpoint, isPoll } from './failpoints.js';
import type { SeededRandom } from './seeded-random.js';

/**
 * Schedule of kills: spread over the passes of failpoints, not over idle time. Each waits for up to
 * `waitPasses`, and then as long again for a failpoint of its own, drawn from all passed so far, so that rare
 * ones are hit too.
 */
export class DropSchedule {
  injected = 0;
  readonly byPoint = new Map<Failpoint, number>();
  readonly #known: Failpoint[] = [];
  readonly #knows = new Set<Failpoint>();
  #left: number;
  #target: Failpoint | undefined;

  constructor(
    private readonly random: SeededRandom,
    private readonly plan: { readonly drops: number; readonly waitPasses: number },
  ) {
    this.#left = this.#draw();
  }

  decide(point: Failpoint): boolean {
    if (this.injected >= this.plan.drops) return false;
    if (!this.#knows.has(point)) {
      this.#knows.add(point);
      this.#known.push(point);
    }
    if (!isPoll(point)) this.#left -= 1;
    if (this.#left > 0) return false;
    this.#target ??= this.random.pick(this.#known);
    if (point !== this.#target && this.#left > -this.plan.waitPasses) return false;
    this.#target = undefined;
    this.#left = this.#draw();
    this.injected += 1;
    this.byPoint.set(point, (this.byPoint.get(point) ?? 0) + 1);
    return true;
  }

  #draw(): number {
    return this.random.between(1, Math.max(1, Math.floor(this.plan.waitPasses)));
  }
}

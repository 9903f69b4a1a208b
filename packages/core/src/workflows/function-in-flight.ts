import type { Clock } from '../runtime/clock.js';

/**
 * Marks the time in which a workflow function works or awaits something other than its steps, for clocks that a test moves; from
 * the claim on. Nothing for other clocks.
 */
export class FunctionInFlight {
  #end: (() => void) | undefined;

  constructor(private readonly clock: Clock) {
    this.set(() => true);
  }

  set(isInFlight: () => boolean): void {
    if (!this.clock.inFlight) return;
    if (!isInFlight()) {
      this.#end?.();
      this.#end = undefined;
    } else this.#end ??= this.clock.inFlight();
  }
}

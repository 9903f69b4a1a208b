/** Usage of a resource by owner, with a maximum for each. Owners without usage are removed. */
export class Shares {
  readonly #max: number;
  readonly #taken = new Map<string, number>();

  constructor(max: number) {
    this.#max = max;
  }

  /** @returns an idempotent release function; `undefined` above the maximum. */
  take(owner: string, amount = 1): (() => void) | undefined {
    const taken = (this.#taken.get(owner) ?? 0) + amount;
    if (taken > this.#max) return undefined;
    this.#taken.set(owner, taken);
    let isBack = false;
    return () => {
      if (isBack) return;
      isBack = true;
      const left = (this.#taken.get(owner) ?? 0) - amount;
      if (left > 0) this.#taken.set(owner, left);
      else this.#taken.delete(owner);
    };
  }
}

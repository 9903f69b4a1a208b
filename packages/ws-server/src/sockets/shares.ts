/** How much of something each owner has taken: none may take more than `max`. An owner that has nothing is forgotten. */
export class Shares {
  readonly #max: number;
  readonly #taken = new Map<string, number>();

  constructor(max: number) {
    this.#max = max;
  }

  /** @returns how to give it back, which may be done twice; `undefined` when the owner would have too much. */
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

/** Number of removed entries at the front after which the array is compacted. */
const MAX_TAKEN = 1_024;

/** FIFO queue with amortised O(1) operations. */
export class Fifo<T> {
  #items: (T | undefined)[] = [];
  #taken = 0;

  get size(): number {
    return this.#items.length - this.#taken;
  }

  /** The newest item. */
  get last(): T | undefined {
    return this.size === 0 ? undefined : this.#items.at(-1);
  }

  push(item: T): void {
    this.#items.push(item);
  }

  shift(): T | undefined {
    if (this.size === 0) return undefined;
    const item = this.#items[this.#taken];
    this.#items[this.#taken] = undefined;
    this.#taken += 1;
    if (this.size === 0) this.#compact();
    else if (this.#taken > MAX_TAKEN && this.#taken * 2 > this.#items.length) this.#compact();
    return item;
  }

  #compact(): void {
    this.#items = this.#items.slice(this.#taken);
    this.#taken = 0;
  }
}

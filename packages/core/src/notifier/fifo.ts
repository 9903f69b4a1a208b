/** How many taken places an array may keep at its front before it is cut. */
const MAX_TAKEN = 1_024;

/** First in, first out; every operation takes constant time on average, however much is in it. */
export class Fifo<T> {
  #items: (T | undefined)[] = [];
  #taken = 0;

  get size(): number {
    return this.#items.length - this.#taken;
  }

  /** What was pushed last, if it is still there. */
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
    if (this.size === 0) this.#cut();
    else if (this.#taken > MAX_TAKEN && this.#taken * 2 > this.#items.length) this.#cut();
    return item;
  }

  #cut(): void {
    this.#items = this.#items.slice(this.#taken);
    this.#taken = 0;
  }
}

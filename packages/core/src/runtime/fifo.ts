/** Number of removed entries at the front after which the array is compacted. */
const MAX_TAKEN = 1_024;

/** FIFO queue with amortised O(1) operations. Its fields are not `#private`: the engine's state can be read as a whole. */
export class Fifo<T> {
  private items: (T | undefined)[] = [];
  private taken = 0;

  get size(): number {
    return this.items.length - this.taken;
  }

  /** The oldest item. */
  get first(): T | undefined {
    return this.items[this.taken];
  }

  /** The newest item. */
  get last(): T | undefined {
    return this.size === 0 ? undefined : this.items.at(-1);
  }

  push(item: T): void {
    this.items.push(item);
  }

  /** Puts an item in front of all others, in O(size) if the front has no room. */
  unshift(item: T): void {
    if (this.taken === 0) {
      this.items.unshift(item);
      return;
    }
    this.taken -= 1;
    this.items[this.taken] = item;
  }

  /** Removes the oldest item. */
  shift(): T | undefined {
    if (this.size === 0) return undefined;
    const item = this.items[this.taken];
    this.items[this.taken] = undefined;
    this.taken += 1;
    if (this.taken === this.items.length) this.clear();
    else if (this.taken > MAX_TAKEN && this.taken * 2 > this.items.length) this.compact();
    return item;
  }

  clear(): void {
    this.items.length = 0;
    this.taken = 0;
  }

  /** At most `count` items, from the one at `from` on; the oldest is at 0. */
  slice(from: number, count: number): T[] {
    const start = this.taken + from;
    return this.items.slice(start, start + count) as T[];
  }

  /** Oldest first; nothing may be removed meanwhile. */
  *[Symbol.iterator](): Generator<T> {
    for (let at = this.taken; at < this.items.length; at += 1) yield this.items[at] as T;
  }

  private compact(): void {
    this.items = this.items.slice(this.taken);
    this.taken = 0;
  }
}

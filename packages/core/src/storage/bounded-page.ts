import { writeJson } from '../protocol/known-text.js';

/**
 * Items of a page: at most `limit`, and together at most `bytes` as JSON unless there is only one. Every storage ends its
 * pages by this, so that all end them in the same place.
 */
export class BoundedPage<T> {
  readonly items: T[] = [];
  #bytes = 0;

  constructor(
    private readonly limit: number,
    private readonly bytes: number,
  ) {}

  get isFull(): boolean {
    return this.items.length >= this.limit;
  }

  /** Takes an item, unless the page is over before it. */
  take(item: T): boolean {
    if (this.isFull) return false;
    const bytes = Buffer.byteLength(writeJson(item)) + 1;
    if (this.items.length > 0 && this.#bytes + bytes > this.bytes) return false;
    this.#bytes += bytes;
    this.items.push(item);
    return true;
  }
}

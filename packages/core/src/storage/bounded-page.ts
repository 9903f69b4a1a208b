import { writeJson } from '../protocol/known-text.js';

/**
 * Items of a page: at most `limit` items and `bytes` of JSON; a single item may be larger. Shared by all storages, so that
 * their pages end at the same item.
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

  /** Adds an item; `false` if the page is full without it. */
  take(item: T): boolean {
    if (this.isFull) return false;
    const bytes = Buffer.byteLength(writeJson(item)) + 1;
    if (this.items.length > 0 && this.#bytes + bytes > this.bytes) return false;
    this.#bytes += bytes;
    this.items.push(item);
    return true;
  }
}

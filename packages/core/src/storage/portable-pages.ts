import { MAX_ITEMS } from './portable-schemas.js';

/** Bytes of a page of a record, about; a single item may have more. */
const PAGE_BYTES = 2 ** 20;

/** Items in pages that fit a record. */
export function* portions<T>(items: Iterable<T>, bytesOf: (item: T) => number): Generator<T[]> {
  let page: T[] = [];
  let bytes = 0;
  for (const item of items) {
    const size = bytesOf(item);
    if (page.length > 0 && (page.length >= MAX_ITEMS || bytes + size > PAGE_BYTES)) {
      yield page;
      page = [];
      bytes = 0;
    }
    page.push(item);
    bytes += size;
  }
  if (page.length > 0) yield page;
}

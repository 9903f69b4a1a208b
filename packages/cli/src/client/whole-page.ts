export interface PartOfPage<T> {
  readonly items: readonly T[];
  readonly next?: string | undefined;
}

/**
 * Reads pages until `limit` items or the end: a page may be short because of its scan or byte limit.
 *
 * @param read a page of at most `limit` items from `cursor` on.
 * @param limit unvalidated: the backend checks it.
 */
export async function wholePage<T>(
  read: (limit: string, cursor: string | undefined) => Promise<PartOfPage<T>>,
  {
    limit,
    cursor,
    signal,
  }: { readonly limit: string; readonly cursor?: string | undefined; readonly signal: AbortSignal },
): Promise<PartOfPage<T>> {
  const items: T[] = [];
  let left = limit;
  for (let from = cursor; ;) {
    const page = await read(left, from);
    items.push(...page.items);
    const missing = Number(limit) - items.length;
    if (page.next === undefined || missing <= 0 || signal.aborted) return { items, next: page.next };
    left = String(missing);
    from = page.next;
  }
}

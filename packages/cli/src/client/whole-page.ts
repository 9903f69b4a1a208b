export interface PartOfPage<T> {
  readonly items: readonly T[];
  readonly next?: string | undefined;
}

/**
 * As many items as were asked for, if there are so many: a page that looked at much and found little, or that was large, is
 * not all of it.
 *
 * @param read a page of at most `limit` items from `cursor` on.
 * @param limit as it was typed: whoever answers says whether it is one.
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

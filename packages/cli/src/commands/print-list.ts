import { type PartOfPage, wholePage } from '../client/whole-page.js';
import { UsageError } from '../errors/errors.js';
import { type Page, printPage } from '../print/page.js';
import type { CommandContext } from './command-context.js';

export interface PageFlags {
  readonly limit?: string;
  readonly cursor?: string;
  readonly all?: boolean;
}

/** Items of a page with `--all`: the maximum of a server. */
const AT_ONCE = '200';

/**
 * Prints a list: as many items as `--limit` says, or with `--all` page by page until the end, none of which is kept.
 *
 * @param read a page of at most `limit` items from `cursor` on.
 */
export async function printList<T>(
  { terminal, signal }: CommandContext,
  flags: PageFlags & { readonly usual: string },
  read: (limit: string, cursor: string | undefined) => Promise<PartOfPage<T>>,
  page: Omit<Page<T>, 'items' | 'next'>,
): Promise<void> {
  const { all, limit, cursor, usual } = flags;
  if (all !== true) {
    const { items, next } = await wholePage(read, { limit: limit ?? usual, cursor, signal });
    printPage(terminal, { ...page, items, next });
    return;
  }
  if (limit !== undefined) throw new UsageError('expected --limit or --all, got both');
  let isFirst = true;
  for (let from = cursor; !signal.aborted;) {
    const { items, next } = await read(AT_ONCE, from);
    if (items.length > 0 || (isFirst && next === undefined))
      printPage(terminal, { ...page, items, ...(!isFirst && { head: [] }) });
    isFirst &&= items.length === 0;
    if (next === undefined) return;
    from = next;
  }
}

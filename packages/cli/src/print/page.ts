import type { Terminal } from '../terminal.js';
import { table } from './table.js';

export interface Page<T> {
  /** Talk when there is nothing. */
  readonly none: string;
  readonly head: readonly string[];
  readonly items: readonly T[];
  readonly row: (item: T) => readonly string[];
  /** What an item is with `--json`. Default: itself. */
  readonly record?: (item: T) => unknown;
  /** How to ask for the next page. */
  readonly next?: string | undefined;
}

/** A list: a table for people, a line of JSON for each item for programs. */
export function printPage<T>(terminal: Terminal, page: Page<T>): void {
  const { none, head, items, row, record = (item) => item, next } = page;
  if (terminal.json) {
    for (const item of items) terminal.record(record(item));
    return;
  }
  if (items.length === 0) terminal.talk(none);
  else for (const line of table(head, items.map(row), terminal)) terminal.data(line);
  if (next !== undefined) terminal.talk(`more: --cursor ${next}`);
}

import type { Terminal } from '../terminal/terminal.js';
import { table } from './table.js';

export interface Page<T> {
  /** Message for an empty list. */
  readonly none: string;
  /** Empty: only rows. */
  readonly head: readonly string[];
  readonly items: readonly T[];
  readonly row: (item: T) => readonly string[];
  /** Item with `--json`. Default: the item. */
  readonly record?: (item: T) => unknown;
  /** Command for the next page. */
  readonly next?: string | undefined;
}

/** Prints a list: a table for people, one JSON value per line for programs. */
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

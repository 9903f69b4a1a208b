import type { Terminal } from '../terminal.js';

/** Rows in columns as wide as their widest cell; the head is bold. */
export function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  terminal: Terminal,
): string[] {
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => (row[column] ?? '').length)),
  );
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) => (column === cells.length - 1 ? cell : cell.padEnd(widths[column] ?? 0)))
      .join('  ')
      .trimEnd();
  return [terminal.paint('bold', line(head)), ...rows.map(line)];
}

import { inOneLine, type Terminal } from '../terminal/terminal.js';

/**
 * Table with columns as wide as their widest cell and a bold header. One line per row, whatever the cells
 * contain.
 */
export function table(
  head: readonly string[],
  cells: readonly (readonly string[])[],
  terminal: Terminal,
): string[] {
  const rows = cells.map((row) => row.map(inOneLine));
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => (row[column] ?? '').length)),
  );
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0)))
      .join('  ')
      .trimEnd();
  return [terminal.paint('bold', line(head)), ...rows.map(line)];
}

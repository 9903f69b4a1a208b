import { inOneLine, type Terminal } from '../terminal/terminal.js';

/**
 * Table with columns as wide as their widest cell and a bold header, unless that is empty. One line per row, whatever the cells
 * contain.
 */
export function table(
  head: readonly string[],
  cells: readonly (readonly string[])[],
  terminal: Terminal,
): string[] {
  const rows = cells.map((row) => row.map(inOneLine));
  const columns = Array.from({ length: Math.max(head.length, rows[0]?.length ?? 0) });
  const widths = columns.map((_, column) =>
    Math.max(head[column]?.length ?? 0, ...rows.map((row) => (row[column] ?? '').length)),
  );
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0)))
      .join('  ')
      .trimEnd();
  const titles = head.length > 0 ? [terminal.paint('bold', line(head))] : [];
  return [...titles, ...rows.map(line)];
}

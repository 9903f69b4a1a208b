/** One fault that was injected, and what came of it. */
export interface FaultRow {
  readonly row: number;
  readonly fault: string;
  readonly expected: string;
  readonly seen: string;
  readonly figure: string;
}

/** What the tests of one file have found out. */
export class FaultTable {
  readonly #rows: FaultRow[] = [];

  add(row: FaultRow): void {
    this.#rows.push(row);
  }

  print(): void {
    console.table(this.#rows.toSorted((a, b) => a.row - b.row));
  }
}

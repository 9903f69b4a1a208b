/** One injected fault, and its result. */
export interface FaultRow {
  readonly row: number;
  readonly fault: string;
  readonly expected: string;
  readonly seen: string;
  readonly detail: string;
}

/** Results of one test file. */
export class FaultTable {
  readonly #rows: FaultRow[] = [];

  add(row: FaultRow): void {
    this.#rows.push(row);
  }

  print(): void {
    console.table(this.#rows.toSorted((a, b) => a.row - b.row));
  }
}

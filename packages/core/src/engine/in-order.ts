/** Holes below this number are not worth a compaction. */
const FEW_HOLES = 1_024;

/** Entries by an ascending sequence number; iterated from the newest, or from any number, downwards. */
export class InOrder<T> {
  private sequences: number[] = [];
  /** `undefined` at a removed entry. */
  private entries: (T | undefined)[] = [];
  private holes = 0;

  add(sequence: number, entry: T): void {
    this.sequences.push(sequence);
    this.entries.push(entry);
  }

  remove(sequence: number): void {
    const at = this.rank(sequence);
    if (this.sequences[at] !== sequence || this.entries[at] === undefined) return;
    this.entries[at] = undefined;
    this.holes += 1;
    if (this.holes > FEW_HOLES && this.holes * 2 > this.entries.length) this.close();
  }

  /** Entries with a smaller sequence, in descending order. */
  *before(sequence: number): Generator<T> {
    for (let at = this.rank(sequence) - 1; at >= 0; at -= 1) {
      const entry = this.entries[at];
      if (entry !== undefined) yield entry;
    }
  }

  /** Number of slots with a smaller sequence, holes included. */
  private rank(sequence: number): number {
    let low = 0;
    let high = this.sequences.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.sequences[middle] as number) < sequence) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  private close(): void {
    this.sequences = this.sequences.filter((_, at) => this.entries[at] !== undefined);
    this.entries = this.entries.filter((entry) => entry !== undefined);
    this.holes = 0;
  }
}

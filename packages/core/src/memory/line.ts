/** Whoever stands in a line. */
export interface InLine {
  readonly spec: { readonly priority: number };
}

/**
 * Tasks that may not all run at once: those of a session (one at a time, in order) or of a batch (`max_in_flight`).
 * A task that stands in it either is inside, or waits.
 */
export class Line<T extends InLine> {
  readonly inside = new Set<T>();
  readonly waiting: T[] = [];

  /**
   * @param capacity how many may be inside.
   * @param inOrder whether whoever waits first also goes first, even if somebody behind could go already.
   */
  constructor(
    readonly capacity: number,
    readonly inOrder: boolean,
  ) {}

  lets(entry: T): boolean {
    if (this.inside.size >= this.capacity) return false;
    return !this.inOrder || this.waiting[0] === undefined || this.waiting[0] === entry;
  }

  leave(entry: T): void {
    this.inside.delete(entry);
    const at = this.waiting.indexOf(entry);
    if (at >= 0) this.waiting.splice(at, 1);
  }

  /** The most urgent priority of all who stand in an ordered line: its head is queued with it. */
  urgency(own: number): number {
    return this.inOrder
      ? this.waiting.reduce((most, entry) => Math.max(most, entry.spec.priority), own)
      : own;
  }
}

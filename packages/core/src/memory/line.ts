import type { TaskEntry } from './tenant-state.js';

/**
 * Tasks that may not all run at once: those of a session (one at a time, in order) or of a batch (`max_in_flight`).
 * A task that stands in it either is inside, or waits.
 */
export class Line {
  readonly inside = new Set<TaskEntry>();
  readonly waiting: TaskEntry[] = [];

  /**
   * @param capacity how many may be inside.
   * @param inOrder whether whoever waits first also goes first, even if somebody behind could go already.
   */
  constructor(
    readonly capacity: number,
    readonly inOrder: boolean,
  ) {}

  lets(entry: TaskEntry): boolean {
    if (this.inside.size >= this.capacity) return false;
    return !this.inOrder || this.waiting[0] === undefined || this.waiting[0] === entry;
  }

  leave(entry: TaskEntry): void {
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

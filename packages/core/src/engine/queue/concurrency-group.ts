/** Member of a concurrency group. */
export interface GroupMember {
  readonly spec: { readonly priority: number };
}

interface Place<T> {
  readonly entry: T;
  readonly order: number;
  before: Place<T> | undefined;
  after: Place<T> | undefined;
}

const PRIORITIES = 10;

/**
 * Tasks with limited concurrency: those of a session (one at a time, in order) or of a batch
 * (`max_in_flight`). A member either holds a slot or waits. Every operation takes constant time, except for a
 * waiting member that re-enters at its old position: it passes the members behind it.
 */
export class ConcurrencyGroup<T extends GroupMember> {
  readonly holders = new Set<T>();
  /** Admits no member while the waiting ones are being cancelled. */
  shut = false;
  private readonly sequences = new Map<T, Place<T>>();
  private readonly waitingBy = Array.from({ length: PRIORITIES }, () => 0);
  private firstPlace: Place<T> | undefined;
  private lastPlace: Place<T> | undefined;

  /**
   * @param capacity maximum number of holders.
   * @param inOrder whether a waiting member blocks those behind it, even if they could enter.
   */
  constructor(
    readonly capacity: number,
    readonly inOrder: boolean,
  ) {}

  get hasRoom(): boolean {
    return !this.shut && this.holders.size < this.capacity;
  }

  /** First waiting member. */
  get first(): T | undefined {
    return this.firstPlace?.entry;
  }

  admits(entry: T): boolean {
    return (
      this.hasRoom && (!this.inOrder || this.firstPlace === undefined || this.firstPlace.entry === entry)
    );
  }

  /** @param order ascending position in the queue. */
  wait(entry: T, order: number): void {
    if (this.sequences.has(entry)) return;
    let before = this.lastPlace;
    while (before && before.order > order) before = before.before;
    const sequence: Place<T> = { entry, order, before, after: before ? before.after : this.firstPlace };
    if (sequence.after) sequence.after.before = sequence;
    else this.lastPlace = sequence;
    if (before) before.after = sequence;
    else this.firstPlace = sequence;
    this.sequences.set(entry, sequence);
    this.count(entry, 1);
  }

  /** Order of a waiting member. */
  orderOf(entry: T): number | undefined {
    return this.sequences.get(entry)?.order;
  }

  enter(entry: T): void {
    this.stopWaiting(entry);
    this.holders.add(entry);
  }

  leave(entry: T): void {
    this.holders.delete(entry);
    this.stopWaiting(entry);
  }

  /**
   * Highest priority among `own` and all waiting members of an ordered group: its holder is queued with it.
   */
  urgency(own: number): number {
    if (!this.inOrder) return own;
    for (let priority = PRIORITIES - 1; priority > own; priority -= 1)
      if ((this.waitingBy[priority] ?? 0) > 0) return priority;
    return own;
  }

  stopWaiting(entry: T): void {
    const sequence = this.sequences.get(entry);
    if (!sequence) return;
    this.sequences.delete(entry);
    this.count(entry, -1);
    if (sequence.before) sequence.before.after = sequence.after;
    else this.firstPlace = sequence.after;
    if (sequence.after) sequence.after.before = sequence.before;
    else this.lastPlace = sequence.before;
  }

  private count({ spec }: T, change: number): void {
    this.waitingBy[spec.priority] = (this.waitingBy[spec.priority] ?? 0) + change;
  }
}

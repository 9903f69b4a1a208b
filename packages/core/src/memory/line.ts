/** Whoever stands in a line. */
export interface InLine {
  readonly spec: { readonly priority: number };
}

interface Place<T> {
  readonly entry: T;
  before: Place<T> | undefined;
  after: Place<T> | undefined;
}

const PRIORITIES = 10;

/**
 * Tasks that may not all run at once: those of a session (one at a time, in order) or of a batch (`max_in_flight`).
 * A task that stands in it either is inside, or waits. However many wait, each operation takes constant time.
 */
export class Line<T extends InLine> {
  readonly inside = new Set<T>();
  /** Lets nobody in, for as long as those that wait are being cancelled. */
  shut = false;
  readonly #places = new Map<T, Place<T>>();
  readonly #waitingBy = Array.from({ length: PRIORITIES }, () => 0);
  #first: Place<T> | undefined;
  #last: Place<T> | undefined;

  /**
   * @param capacity how many may be inside.
   * @param inOrder whether whoever waits first also goes first, even if somebody behind could go already.
   */
  constructor(
    readonly capacity: number,
    readonly inOrder: boolean,
  ) {}

  lets(entry: T): boolean {
    if (this.shut || this.inside.size >= this.capacity) return false;
    return !this.inOrder || this.#first === undefined || this.#first.entry === entry;
  }

  wait(entry: T): void {
    if (this.#places.has(entry)) return;
    const place: Place<T> = { entry, before: this.#last, after: undefined };
    if (this.#last) this.#last.after = place;
    else this.#first = place;
    this.#last = place;
    this.#places.set(entry, place);
    this.#count(entry, 1);
  }

  enter(entry: T): void {
    this.#stopWaiting(entry);
    this.inside.add(entry);
  }

  leave(entry: T): void {
    this.inside.delete(entry);
    this.#stopWaiting(entry);
  }

  /** Those that wait, first come first; the one that was given last may leave meanwhile. */
  *waiting(): Generator<T> {
    for (let place = this.#first; place;) {
      const { after } = place;
      yield place.entry;
      place = after;
    }
  }

  /** The most urgent priority of all who stand in an ordered line: its head is queued with it. */
  urgency(own: number): number {
    if (!this.inOrder) return own;
    for (let priority = PRIORITIES - 1; priority > own; priority -= 1)
      if ((this.#waitingBy[priority] ?? 0) > 0) return priority;
    return own;
  }

  #stopWaiting(entry: T): void {
    const place = this.#places.get(entry);
    if (!place) return;
    this.#places.delete(entry);
    this.#count(entry, -1);
    if (place.before) place.before.after = place.after;
    else this.#first = place.after;
    if (place.after) place.after.before = place.before;
    else this.#last = place.before;
  }

  #count({ spec }: T, change: number): void {
    this.#waitingBy[spec.priority] = (this.#waitingBy[spec.priority] ?? 0) + change;
  }
}

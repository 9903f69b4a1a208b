/** Whoever stands in a line. */
export interface InLine {
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
 * Tasks that may not all run at once: those of a session (one at a time, in order) or of a batch (`max_in_flight`).
 * A task that stands in it either is inside, or waits. However many wait, each operation takes constant time; only one that
 * comes back to where it stood before passes those that came after it.
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

  get hasRoom(): boolean {
    return !this.shut && this.inside.size < this.capacity;
  }

  /** Of those that wait. */
  get first(): T | undefined {
    return this.#first?.entry;
  }

  lets(entry: T): boolean {
    return this.hasRoom && (!this.inOrder || this.#first === undefined || this.#first.entry === entry);
  }

  /** @param order those with a smaller one come first. */
  wait(entry: T, order: number): void {
    if (this.#places.has(entry)) return;
    let before = this.#last;
    while (before && before.order > order) before = before.before;
    const place: Place<T> = { entry, order, before, after: before ? before.after : this.#first };
    if (place.after) place.after.before = place;
    else this.#last = place;
    if (before) before.after = place;
    else this.#first = place;
    this.#places.set(entry, place);
    this.#count(entry, 1);
  }

  /** That it waits with. */
  orderOf(entry: T): number | undefined {
    return this.#places.get(entry)?.order;
  }

  enter(entry: T): void {
    this.stopWaiting(entry);
    this.inside.add(entry);
  }

  leave(entry: T): void {
    this.inside.delete(entry);
    this.stopWaiting(entry);
  }

  /** The most urgent priority of all who stand in an ordered line: its head is queued with it. */
  urgency(own: number): number {
    if (!this.inOrder) return own;
    for (let priority = PRIORITIES - 1; priority > own; priority -= 1)
      if ((this.#waitingBy[priority] ?? 0) > 0) return priority;
    return own;
  }

  stopWaiting(entry: T): void {
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

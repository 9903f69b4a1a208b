import { Heap } from './heap.js';

/** Something that is due at a point in time, in milliseconds since 1970. */
export interface Due<K, T> {
  readonly kind: K;
  readonly at: number;
  readonly what: T;
}

/** What of one kind is due, in the order of its times: appended at the end, taken from the front. */
class DueLine<T> {
  // Two arrays instead of one of pairs: there are several entries for every task, and so none costs an object.
  #times: number[] = [];
  #whats: T[] = [];
  #front = 0;

  get first(): number {
    return this.#times[this.#front] ?? Number.POSITIVE_INFINITY;
  }

  get last(): number {
    return this.#times.at(-1) ?? Number.NEGATIVE_INFINITY;
  }

  push(at: number, what: T): void {
    this.#times.push(at);
    this.#whats.push(what);
  }

  shift(): T {
    const what = this.#whats[this.#front] as T;
    this.#front += 1;
    if (this.#front === this.#times.length || (this.#front > 1024 && this.#front * 2 > this.#times.length)) {
      this.#times = this.#times.slice(this.#front);
      this.#whats = this.#whats.slice(this.#front);
      this.#front = 0;
    }
    return what;
  }
}

/**
 * What becomes due, earliest first. Most things of one kind (leases, retentions, default deadlines) come in the order
 * in which they become due, so each kind has a line that is only appended to; what is earlier than the end of its
 * line goes into a heap.
 */
export class DueTimes<K, T> {
  readonly #lines = new Map<K, DueLine<T>>();
  readonly #others = new Heap<Due<K, T>>((a, b) => a.at < b.at);
  #earliest = Number.POSITIVE_INFINITY;

  /** When the first one is due; infinite when there is none. */
  get earliest(): number {
    return this.#earliest;
  }

  push(kind: K, at: number, what: T): void {
    if (at < this.#earliest) this.#earliest = at;
    let line = this.#lines.get(kind);
    if (!line) {
      line = new DueLine();
      this.#lines.set(kind, line);
    }
    if (line.last > at) this.#others.push({ kind, at, what });
    else line.push(at, what);
  }

  /** Takes out the first one, if it is due by `now`. */
  take(now: number): Due<K, T> | undefined {
    const at = this.#earliest;
    if (at > now) return undefined;
    const due = this.#takeAt(at);
    this.#earliest = this.#others.peek()?.at ?? Number.POSITIVE_INFINITY;
    for (const line of this.#lines.values()) this.#earliest = Math.min(this.#earliest, line.first);
    return due;
  }

  #takeAt(at: number): Due<K, T> | undefined {
    for (const [kind, line] of this.#lines) {
      if (line.first === at) return { kind, at, what: line.shift() };
    }
    return this.#others.pop();
  }
}

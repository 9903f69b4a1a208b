import { Fifo } from '../../runtime/fifo.js';
import { Heap } from './heap.js';

/** Something due at a point in time (epoch ms). */
export interface Timer<K, T> {
  readonly kind: K;
  readonly at: number;
  readonly target: T;
}

/** Timers of one kind in the order of their times: appended at the end, taken from the front. */
export class OrderedTimers<T> {
  // Two queues instead of objects: there are several timers for every task.
  private readonly times = new Fifo<number>();
  private readonly targets = new Fifo<T>();

  get first(): number {
    return this.times.first ?? Number.POSITIVE_INFINITY;
  }

  get last(): number {
    return this.times.last ?? Number.NEGATIVE_INFINITY;
  }

  push(at: number, target: T): void {
    this.times.push(at);
    this.targets.push(target);
  }

  shift(): T {
    this.times.shift();
    return this.targets.shift() as T;
  }
}

/**
 * Timers by due time. Most timers of one kind (leases, retentions, default deadlines) are scheduled in the
 * order in which they fire, so each kind has an append-only queue; a timer earlier than the end of its queue
 * goes into a heap.
 */
export class TimerQueue<K, T> {
  private readonly ordered = new Map<K, OrderedTimers<T>>();
  private readonly others = new Heap<Timer<K, T>>((a, b) => a.at < b.at);
  private earliestAt = Number.POSITIVE_INFINITY;

  /** Time of the earliest timer, epoch ms; infinite without any. */
  get earliest(): number {
    return this.earliestAt;
  }

  push(kind: K, at: number, target: T): void {
    if (at < this.earliestAt) this.earliestAt = at;
    let queue = this.ordered.get(kind);
    if (!queue) {
      queue = new OrderedTimers();
      this.ordered.set(kind, queue);
    }
    if (queue.last > at) this.others.push({ kind, at, target });
    else queue.push(at, target);
  }

  /** Removes and returns the earliest timer due by `now`. */
  take(now: number): Timer<K, T> | undefined {
    const at = this.earliestAt;
    if (at > now) return undefined;
    const due = this.takeAt(at);
    this.earliestAt = this.others.peek()?.at ?? Number.POSITIVE_INFINITY;
    for (const queue of this.ordered.values()) this.earliestAt = Math.min(this.earliestAt, queue.first);
    return due;
  }

  private takeAt(at: number): Timer<K, T> | undefined {
    for (const [kind, queue] of this.ordered) {
      if (queue.first === at) return { kind, at, target: queue.shift() };
    }
    return this.others.pop();
  }
}

/** Queue position of an entry: priority, then sequence. */
export interface Placed {
  readonly sequence: number;
  readonly queuePriority: number;
}

/** Ready entries of one priority by sequence. Usually appended at the end and taken from the front. */
export class PriorityLevel<T extends Placed> {
  private entries: T[] = [];
  private front = 0;

  get size(): number {
    return this.entries.length - this.front;
  }

  first(): T | undefined {
    return this.entries[this.front];
  }

  insert(entry: T): void {
    const last = this.entries.at(-1);
    if (!last || this.size === 0 || last.sequence < entry.sequence) this.entries.push(entry);
    else this.entries.splice(this.rank(entry), 0, entry);
  }

  /** The first entries, at most `most`. */
  head(most: number): readonly T[] {
    return this.entries.slice(this.front, this.front + most);
  }

  remove(entry: T): void {
    if (this.entries[this.front] === entry) {
      this.front += 1;
      if (this.front > 1024 && this.front * 2 > this.entries.length) {
        this.entries = this.entries.slice(this.front);
        this.front = 0;
      }
      return;
    }
    const at = this.rank(entry);
    if (this.entries[at] === entry) this.entries.splice(at, 1);
  }

  /** Index of the first entry that does not come before `entry`. */
  rank(entry: T): number {
    let low = this.front;
    let high = this.entries.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.entries[middle] as T).sequence < entry.sequence) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  ahead(entry: T): number {
    return this.rank(entry) - this.front;
  }
}

/** Ready tasks of one tenant that the same workers can run: priority 9 first, FIFO within a priority. */
export class ReadyQueue<T extends Placed> {
  private readonly levels = Array.from({ length: 10 }, () => new PriorityLevel<T>());
  private count = 0;

  get size(): number {
    return this.count;
  }

  insert(entry: T): void {
    (this.levels[entry.queuePriority] as PriorityLevel<T>).insert(entry);
    this.count += 1;
  }

  remove(entry: T): void {
    (this.levels[entry.queuePriority] as PriorityLevel<T>).remove(entry);
    this.count -= 1;
  }

  mostUrgent(): T | undefined {
    if (this.count === 0) return undefined;
    for (let priority = 9; priority >= 0; priority -= 1) {
      const first = (this.levels[priority] as PriorityLevel<T>).first();
      if (first) return first;
    }
    return undefined;
  }

  /** The first entries over all priorities, at most `most`. */
  head(most: number): readonly T[] {
    const found: T[] = [];
    for (let priority = 9; priority >= 0 && found.length < most; priority -= 1)
      found.push(...(this.levels[priority] as PriorityLevel<T>).head(most - found.length));
    return found;
  }

  oldest(): T | undefined {
    let oldest: T | undefined;
    for (const queuePriority of this.levels) {
      const first = queuePriority.first();
      if (first && (!oldest || first.sequence < oldest.sequence)) oldest = first;
    }
    return oldest;
  }

  /** Number of entries before `entry`. */
  ahead(entry: T): number {
    let count = (this.levels[entry.queuePriority] as PriorityLevel<T>).ahead(entry);
    for (let priority = entry.queuePriority + 1; priority <= 9; priority += 1)
      count += (this.levels[priority] as PriorityLevel<T>).size;
    return count;
  }
}

import type { TaskEntry } from './tenant-state.js';

/** What is ready in one priority, by place in line. Usually appended at the end and taken from the front. */
class Lane {
  #entries: TaskEntry[] = [];
  #front = 0;

  get size(): number {
    return this.#entries.length - this.#front;
  }

  first(): TaskEntry | undefined {
    return this.#entries[this.#front];
  }

  insert(entry: TaskEntry): void {
    const last = this.#entries.at(-1);
    if (!last || this.size === 0 || last.place < entry.place) this.#entries.push(entry);
    else this.#entries.splice(this.rank(entry), 0, entry);
  }

  remove(entry: TaskEntry): void {
    if (this.#entries[this.#front] === entry) {
      this.#front += 1;
      if (this.#front > 1024 && this.#front * 2 > this.#entries.length) {
        this.#entries = this.#entries.slice(this.#front);
        this.#front = 0;
      }
      return;
    }
    const at = this.rank(entry);
    if (this.#entries[at] === entry) this.#entries.splice(at, 1);
  }

  /** Index of the first entry that does not come before `entry`. */
  rank(entry: TaskEntry): number {
    let low = this.#front;
    let high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#entries[middle] as TaskEntry).place < entry.place) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  ahead(entry: TaskEntry): number {
    return this.rank(entry) - this.#front;
  }
}

/** Ready tasks of one tenant that the same workers can run: priority 9 first, first in first out inside a priority. */
export class ReadyLanes {
  readonly #lanes = Array.from({ length: 10 }, () => new Lane());
  #size = 0;

  get size(): number {
    return this.#size;
  }

  insert(entry: TaskEntry): void {
    (this.#lanes[entry.lane] as Lane).insert(entry);
    this.#size += 1;
  }

  remove(entry: TaskEntry): void {
    (this.#lanes[entry.lane] as Lane).remove(entry);
    this.#size -= 1;
  }

  mostUrgent(): TaskEntry | undefined {
    if (this.#size === 0) return undefined;
    for (let priority = 9; priority >= 0; priority -= 1) {
      const first = (this.#lanes[priority] as Lane).first();
      if (first) return first;
    }
    return undefined;
  }

  oldest(): TaskEntry | undefined {
    let oldest: TaskEntry | undefined;
    for (const lane of this.#lanes) {
      const first = lane.first();
      if (first && (!oldest || first.place < oldest.place)) oldest = first;
    }
    return oldest;
  }

  /** How many of these tasks come before `entry`. */
  ahead(entry: TaskEntry): number {
    let count = (this.#lanes[entry.lane] as Lane).ahead(entry);
    for (let priority = entry.lane + 1; priority <= 9; priority += 1)
      count += (this.#lanes[priority] as Lane).size;
    return count;
  }
}

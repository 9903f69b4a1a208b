import { createHash } from 'node:crypto';
import { uuidFromBytes } from '../protocol/ids.js';

/** Random that is the same in each replay: derived from the task's seed and a counter. */
export class SeededRandom {
  #drawn = 0;

  constructor(private readonly seed: string) {}

  /** In [0, 1). */
  fraction(): number {
    return this.#draw().readUIntBE(0, 6) / 2 ** 48;
  }

  uuid(): string {
    return uuidFromBytes(this.#draw());
  }

  #draw(): Buffer {
    this.#drawn += 1;
    return createHash('sha256').update(`${this.seed}:${this.#drawn}`).digest();
  }
}

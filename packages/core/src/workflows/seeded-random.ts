import { createHash } from 'node:crypto';
import { uuidFromBytes } from '../protocol/ids.js';

/** Chance that is the same in each replay: drawn from the task's seed and how often it was asked for. */
export class SeededRandom {
  #drawn = 0;

  constructor(private readonly seed: string) {}

  /** From 0 up to, but not including, 1. */
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

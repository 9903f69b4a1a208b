import { createHash } from 'node:crypto';
import type { Random } from '../../src/index.js';

/**
 * Seeded random numbers: the same seed draws the same. Derived from a hash, since thousands of processes draw
 * ids: the streams of a small generator, which are parts of one cycle, would overlap, and two processes would
 * generate the same ids.
 */
export class SeededRandom implements Random {
  #drawn = 0;

  constructor(private readonly seed: string) {}

  fraction(): number {
    return this.#draw().readUIntBE(0, 6) / 2 ** 48;
  }

  uuid(): string {
    const bytes = this.#draw();
    bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x40, 6);
    bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
    const hex = bytes.toString('hex');
    const groups = [
      hex.slice(0, 8),
      hex.slice(8, 12),
      hex.slice(12, 16),
      hex.slice(16, 20),
      hex.slice(20, 32),
    ];
    return groups.join('-');
  }

  /** A whole number from 0 up to, but not including, `bound`. */
  below(bound: number): number {
    return Math.floor(this.fraction() * bound);
  }

  /** A whole number, both ends included. */
  between(least: number, most: number): number {
    return least + this.below(most - least + 1);
  }

  /** True in `percent` of a hundred. */
  random(percent: number): boolean {
    return this.fraction() * 100 < percent;
  }

  pick<T>(list: readonly T[]): T {
    return list.at(this.below(list.length)) as T;
  }

  #draw(): Buffer {
    this.#drawn += 1;
    return createHash('sha256').update(`${this.seed}:${this.#drawn}`).digest();
  }
}

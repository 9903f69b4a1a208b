import { randomFillSync } from 'node:crypto';
import { uuidFromBytes } from '../protocol/ids.js';

/** Chance, as the rest of the code knows it: tests draw it from a seed. */
export interface Random {
  /** A UUID v4. */
  uuid(): string;
  /** From 0 up to, but not including, 1. */
  fraction(): number;
}

const BYTES = new Uint8Array(16 * 256);
let drawn = BYTES.length;

/** Of the system's cryptographic random, drawn in blocks. */
function randomUuid(): string {
  if (drawn === BYTES.length) {
    randomFillSync(BYTES);
    drawn = 0;
  }
  drawn += 16;
  return uuidFromBytes(BYTES.subarray(drawn - 16, drawn));
}

export const systemRandom: Random = { uuid: randomUuid, fraction: () => Math.random() };

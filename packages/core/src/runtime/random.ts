import { randomFillSync } from 'node:crypto';
import { uuidFromBytes } from '../protocol/ids.js';

/** Source of randomness; tests use a seeded one. */
export interface Random {
  /** A UUID v4. */
  uuid(): string;
  /** In [0, 1). */
  fraction(): number;
}

const BYTES = new Uint8Array(16 * 256);
let drawn = BYTES.length;

/** From the system's CSPRNG, drawn in blocks. */
function randomUuid(): string {
  if (drawn === BYTES.length) {
    randomFillSync(BYTES);
    drawn = 0;
  }
  drawn += 16;
  return uuidFromBytes(BYTES.subarray(drawn - 16, drawn));
}

/** Random numbers and ids of the machine. */
export const systemRandom: Random = { uuid: randomUuid, fraction: () => Math.random() };

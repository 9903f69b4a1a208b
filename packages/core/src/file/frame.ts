import { crc32 } from 'node:zlib';

/**
 * A frame of the log, which is written whole or does not count: `AOF1`, length of the body and CRC of length and body
 * (32 bit, little-endian), body.
 */
export const FRAME_HEADER_BYTES = 12;
const MAX_FRAME_BYTES = 2 ** 30;

export const MAGIC = Buffer.from('AOF1');

/** Header of a frame with this body, which may be given in pieces. */
export function frameHeader(body: readonly Buffer[]): Buffer {
  const header = Buffer.alloc(FRAME_HEADER_BYTES);
  let length = 0;
  for (const piece of body) length += piece.length;
  MAGIC.copy(header);
  header.writeUInt32LE(length, 4);
  header.writeUInt32LE(checksumOf(header, body), 8);
  return header;
}

/** Length of the body that a header announces; `undefined` if it is none. */
export function bodyLengthOf(header: Buffer): number | undefined {
  if (header.length < FRAME_HEADER_BYTES || !header.subarray(0, 4).equals(MAGIC)) return undefined;
  const length = header.readUInt32LE(4);
  return length <= MAX_FRAME_BYTES ? length : undefined;
}

/** Whether the body is the one that the header was written for. */
export function isIntact(header: Buffer, body: Buffer): boolean {
  return header.readUInt32LE(8) === checksumOf(header, [body]);
}

function checksumOf(header: Buffer, body: readonly Buffer[]): number {
  let sum = crc32(header.subarray(4, 8));
  for (const piece of body) sum = crc32(piece, sum);
  return sum;
}

/** Position of the next magic bytes from `from` on; -1 without any. */
export function findMagic(buffer: Buffer, from: number): number {
  return buffer.indexOf(MAGIC, from);
}

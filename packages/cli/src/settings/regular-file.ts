import { constants } from 'node:fs';
import { open } from 'node:fs/promises';

const { O_RDONLY, O_NONBLOCK } = constants;

/**
 * Text of a file of unknown origin: a pipe or a device would never end, a large file fill the memory, and a
 * file of another user is not trusted. All checks use the open descriptor, so the file cannot be swapped in
 * between.
 *
 * @throws when it is not a regular file of this user, or exceeds `maxBytes`.
 */
export async function readOwnFile(path: string, maxBytes: number): Promise<string> {
  // Without O_NONBLOCK, opening a pipe waits for a writer.
  await using file = await open(path, O_RDONLY | O_NONBLOCK);
  const found = await file.stat();
  if (!found.isFile()) throw new Error(`${path}: expected a file, got something else`);
  if (process.getuid !== undefined && found.uid !== process.getuid())
    throw new Error(`${path}: expected a file of this user, got that of another`);
  const bytes = Buffer.alloc(maxBytes + 1);
  let length = 0;
  for (;;) {
    const { bytesRead } = await file.read(bytes, length, bytes.length - length);
    length += bytesRead;
    if (length > maxBytes) throw new Error(`${path}: expected at most ${maxBytes} bytes, got more`);
    if (bytesRead === 0) return bytes.toString('utf8', 0, length);
  }
}

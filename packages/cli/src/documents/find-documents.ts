import { open, readdir, stat } from 'node:fs/promises';
import { basename, join, relative, resolve, sep } from 'node:path';
import { MAX_RESULT_BYTES } from '@agent-orchestrator/core';
import { mediaTypeOf } from '@agent-orchestrator/local-stack';

/** A file that may be ingested. `name` is what its citations will say. */
export interface FoundDocument {
  readonly path: string;
  readonly name: string;
  readonly mediaType: string;
}

/** What can't be ingested, and why. */
export interface Refused {
  readonly path: string;
  readonly reason: string;
}

/** Room for the rest of the request, and for what JSON adds to a text. */
const MAX_BYTES = MAX_RESULT_BYTES - 64 * 1024;
const SKIPPED = new Set(['node_modules', 'dist', 'coverage']);

/**
 * The documents among files and folders: a folder is searched to its depths for Markdown, text and HTML, without hidden
 * files, `node_modules` and what is built. A file that is named itself and is none of these is refused.
 */
export async function findDocuments(
  paths: readonly string[],
  cwd: string,
): Promise<{ readonly documents: readonly FoundDocument[]; readonly refused: readonly Refused[] }> {
  const documents = new Map<string, FoundDocument>();
  const refused: Refused[] = [];
  for (const given of paths) {
    const path = resolve(cwd, given);
    const found = await stat(path).catch((error: NodeJS.ErrnoException) => error);
    if (found instanceof Error) {
      refused.push({
        path: given,
        reason: found.code === 'ENOENT' ? 'expected a file or folder, got nothing there' : found.message,
      });
    } else if (found.isDirectory()) {
      for (const file of await filesIn(path)) add(documents, file, path, cwd);
    } else if (!add(documents, path, path, cwd)) {
      refused.push({ path: given, reason: `expected Markdown, text or HTML, got "${basename(path)}"` });
    }
  }
  return { documents: [...documents.values()], refused };
}

function add(documents: Map<string, FoundDocument>, path: string, root: string, cwd: string): boolean {
  const mediaType = mediaTypeOf(path);
  if (mediaType === undefined) return false;
  const fromHere = relative(cwd, path);
  const name = fromHere.startsWith('..') ? relative(join(root, '..'), path) : fromHere;
  documents.set(path, { path, name: name.split(sep).join('/'), mediaType });
  return true;
}

async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const files: string[] = [];
  for (const entry of entries.toSorted((a, b) => a.name.localeCompare(b.name))) {
    if (entry.name.startsWith('.') || SKIPPED.has(entry.name)) continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) files.push(...(await filesIn(path)));
    // Without an ending, only what is usually text: README, LICENSE.
    else if (entry.isFile() && /\.|^[A-Z]+$/.test(entry.name)) files.push(path);
  }
  return files;
}

/** The text of a document. @throws {Error} that says why there is none. */
export async function readDocument(path: string): Promise<string> {
  const handle = await open(path, 'r');
  try {
    const { size } = await handle.stat();
    if (size > MAX_BYTES) throw new Error(`expected at most ${MAX_BYTES} bytes, got ${size}`);
    const bytes = await handle.readFile();
    if (bytes.includes(0)) throw new Error('expected text, got a binary file');
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false });
    return text.decode(bytes);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_ENCODING_INVALID_ENCODED_DATA') {
      throw new Error('expected UTF-8 text, got something else', { cause: error });
    }
    throw error;
  } finally {
    await handle.close();
  }
}

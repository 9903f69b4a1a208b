import { open, readdir, stat } from 'node:fs/promises';
import { basename, join, relative, resolve, sep } from 'node:path';
import { MAX_RESULT_BYTES } from '@agent-orchestrator/core/protocol';
import { kindOf } from './json-file.js';

/** A file to ingest. `name` appears in citations. */
export interface FoundDocument {
  readonly path: string;
  readonly name: string;
  readonly mediaType: string;
}

/** A refused path with the reason. */
interface Refused {
  readonly path: string;
  readonly reason: string;
}

export interface FoundDocuments {
  readonly documents: readonly FoundDocument[];
  readonly refused: readonly Refused[];
}

/** Leaves room for the rest of the request and JSON escapes. */
const MAX_BYTES = MAX_RESULT_BYTES - 64 * 1024;
const SKIPPED = new Set(['node_modules', 'dist', 'coverage']);

/**
 * Documents among files and folders: a folder is searched recursively for Markdown, text and HTML, without hidden files,
 * `node_modules` and build output. A file named explicitly that is none of these is refused.
 */
export async function findDocuments(paths: readonly string[], cwd: string): Promise<FoundDocuments> {
  // Lazy: other commands start sooner without it.
  const { mediaTypeOf } = await import('@agent-orchestrator/local-stack');
  const documents = new Map<string, FoundDocument>();
  const refused: Refused[] = [];
  const add = (path: string, root: string) => {
    const mediaType = mediaTypeOf(path);
    if (mediaType === undefined) return false;
    documents.set(path, { path, name: nameOf(path, root, cwd), mediaType });
    return true;
  };
  for (const given of paths) {
    const path = resolve(cwd, given);
    const found = await stat(path).catch((error: NodeJS.ErrnoException) => error);
    if (found instanceof Error) {
      refused.push({ path: given, reason: `expected a file or folder, got ${whyNot(found)}` });
    } else if (found.isDirectory()) {
      const { files, unreadable } = await filesIn(path);
      for (const file of files) add(file, path);
      refused.push(...unreadable);
    } else if (!found.isFile()) {
      // A pipe or a device may never end.
      refused.push({ path: given, reason: `expected a file or folder, got ${kindOf(found)}` });
    } else if (!add(path, path)) {
      refused.push({ path: given, reason: `expected Markdown, text or HTML, got "${basename(path)}"` });
    }
  }
  return { documents: [...documents.values()], refused };
}

function whyNot(error: NodeJS.ErrnoException): string {
  return error.code === 'ENOENT' ? 'nothing there' : error.message;
}

/** From the current folder on; for what is elsewhere, from the folder on that was named. */
function nameOf(path: string, root: string, cwd: string): string {
  const fromHere = relative(cwd, path);
  const name = fromHere.startsWith('..') ? relative(join(root, '..'), path) : fromHere;
  return name.split(sep).join('/');
}

/** Links are not followed: they may lead out of the folder, or round in a circle. */
async function filesIn(folder: string): Promise<{ files: string[]; unreadable: Refused[] }> {
  const files: string[] = [];
  const unreadable: Refused[] = [];
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: Error) => {
    unreadable.push({ path: folder, reason: error.message });
    return [];
  });
  for (const entry of entries.toSorted((a, b) => a.name.localeCompare(b.name))) {
    if (entry.name.startsWith('.') || SKIPPED.has(entry.name)) continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      const below = await filesIn(path);
      files.push(...below.files);
      unreadable.push(...below.unreadable);
      // Without an ending, only what is usually text: README, LICENSE.
    } else if (entry.isFile() && /\.|^[A-Z]+$/.test(entry.name)) files.push(path);
  }
  return { files, unreadable };
}

/** The text of a document. @throws {Error} that says why there is none. */
export async function readDocument(path: string): Promise<string> {
  const handle = await open(path, 'r');
  try {
    const { size } = await handle.stat();
    if (size > MAX_BYTES) throw new Error(`expected at most ${MAX_BYTES} bytes, got ${size}`);
    const bytes = await handle.readFile();
    if (bytes.length === 0) throw new Error('expected some text, got an empty file');
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

import { execFileSync } from 'node:child_process';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findDocuments, readDocument } from '../src/documents/find-documents.js';
import { readJsonFile } from '../src/documents/json-file.js';
import { type Folder, folder } from './cli-process.js';

let place: Folder;
beforeEach(async () => {
  place = await folder();
});
afterEach(() => place[Symbol.asyncDispose]());

async function file(name: string, content: string | Buffer = 'text'): Promise<string> {
  const path = join(place.path, name);
  await mkdir(join(path, '..'), { recursive: true });
  await writeFile(path, content);
  return path;
}

const namesIn = async (...paths: string[]) =>
  (await findDocuments(paths, place.path)).documents.map(({ name }) => name);
const refusedIn = async (...paths: string[]) => (await findDocuments(paths, place.path)).refused;

describe('the search for documents', () => {
  it('finds Markdown, text and HTML recursively, in order', async () => {
    for (const name of ['b.md', 'a.txt', 'sub/c.html', 'sub/deep/d.markdown', 'README', 'code.ts', 'x.png']) {
      await file(name);
    }
    expect(await namesIn('.')).toEqual(['a.txt', 'b.md', 'README', 'sub/c.html', 'sub/deep/d.markdown']);
  });

  it('skips hidden, installed and built files', async () => {
    for (const name of ['.git/a.md', '.hidden.md', 'node_modules/p/README.md', 'dist/a.md', 'ok.md']) {
      await file(name);
    }
    expect(await namesIn('.')).toEqual(['ok.md']);
  });

  it('searches a folder that is named explicitly, even node_modules', async () => {
    await file('node_modules/p/README.md');
    expect(await namesIn('node_modules/p')).toEqual(['node_modules/p/README.md']);
  });

  it('returns a document once that is named twice', async () => {
    const path = await file('a.md');
    expect(await namesIn('a.md', './a.md', path, '.')).toEqual(['a.md']);
  });

  it('names documents outside the current folder by the named folder', async () => {
    await file('docs/a.md');
    const { documents } = await findDocuments([join(place.path, 'docs')], join(place.path, 'elsewhere'));
    expect(documents.map(({ name }) => name)).toEqual(['docs/a.md']);
  });

  it('does not follow links inside a folder', async () => {
    await file('real.md');
    await symlink(place.path, join(place.path, 'loop'));
    await symlink('nothing.md', join(place.path, 'dangling.md'));
    expect(await namesIn('.')).toEqual(['real.md']);
    expect(await refusedIn('.')).toEqual([]);
  });

  it('refuses a named file that cannot be a document, with the reason', async () => {
    await file('code.ts');
    execFileSync('mkfifo', [join(place.path, 'pipe.md')]);
    expect(await refusedIn('code.ts', 'nope.md', 'pipe.md', '/dev/null', 'code.ts/x.md')).toEqual([
      { path: 'code.ts', reason: 'expected Markdown, text or HTML, got "code.ts"' },
      { path: 'nope.md', reason: 'expected a file or folder, got nothing there' },
      { path: 'pipe.md', reason: 'expected a file or folder, got a pipe' },
      { path: '/dev/null', reason: 'expected a file or folder, got a device or socket' },
      { path: 'code.ts/x.md', reason: expect.stringContaining('ENOTDIR') as string },
    ]);
  });
});

describe('reading a document', () => {
  it('returns its text', async () => {
    expect(await readDocument(await file('a.md', 'grün'))).toBe('grün');
  });

  it.each<[string, Buffer, RegExp]>([
    ['a binary file', Buffer.from([97, 0, 98]), /expected text, got a binary file/],
    ['another encoding', Buffer.from([0x63, 0xe9]), /expected UTF-8 text, got something else/],
    ['an empty file', Buffer.alloc(0), /expected some text, got an empty file/],
    ['a file that is too large', Buffer.alloc(1_000_000, 97), /expected at most 983040 bytes, got 1000000/],
  ])('refuses %s', async (_, content, reason) => {
    const path = await file('a.md', content);
    await expect(readDocument(path)).rejects.toThrow(reason);
  });
});

describe('reading JSON from a file', () => {
  it.each<[string, string, RegExp]>([
    ['half of it', '{"a":', /^a\.json: expected JSON, got Unexpected end/],
    ['nothing', ' \n', /^a\.json: expected JSON, got nothing/],
    ['a dangerous key', '{"__proto__":1}', /^a\.json: the key "__proto__"/],
    ['too much', `"${'x'.repeat(1024 * 1024)}"`, /^a\.json: expected at most 1048576 bytes/],
  ])('refuses %s', async (_, content, reason) => {
    await file('a.json', content);
    await expect(readJsonFile(place.path, 'a.json')).rejects.toThrow(reason);
  });

  it('refuses what is not a file', async () => {
    execFileSync('mkfifo', [join(place.path, 'p.json')]);
    await expect(readJsonFile(place.path, 'p.json')).rejects.toThrow('p.json: expected a file, got a pipe');
    await expect(readJsonFile(place.path, '.')).rejects.toThrow('.: expected a file, got a folder');
    await expect(readJsonFile(place.path, 'n')).rejects.toThrow('n: expected a file, got nothing there');
  });
});

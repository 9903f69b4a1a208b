import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

const folder = new URL('../examples/', import.meta.url);
const names = (await readdir(folder, { recursive: true }))
  .filter((path) => path.endsWith('expected.txt') && !path.includes('node_modules'))
  .map((path) => path.replace('/expected.txt', ''));

describe('the examples', () => {
  it('are there', () => {
    expect(names.toSorted()).toEqual(['approval', 'host-app', 'plans']);
  });

  it.each(names)('%s prints what it is expected to', async (name) => {
    const main = fileURLToPath(new URL(`${name}/main.mjs`, folder));
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [main], { timeout: 25_000 });
    expect(stderr).toBe('');
    expect(stdout).toBe(await readFile(new URL(`${name}/expected.txt`, folder), 'utf8'));
  });
});

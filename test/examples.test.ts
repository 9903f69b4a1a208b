import { execFile, spawnSync } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

const folder = new URL('../examples/', import.meta.url);
const names = (await readdir(folder, { recursive: true }))
  .filter((path) => path.endsWith('expected.txt') && !path.includes('node_modules'))
  .map((path) => path.replace('/expected.txt', ''));

/** Requirements of examples besides Node. Without one the example is skipped, except in CI. */
const NEEDED: Readonly<Record<string, string>> = { 'python-service': 'python3' };

function missing(name: string): string | undefined {
  const program = NEEDED[name];
  if (program === undefined || process.env['CI']) return undefined;
  return spawnSync(program, ['--version']).status === 0 ? undefined : program;
}

describe('the examples', () => {
  it('are the expected ones', () => {
    expect(names.toSorted()).toEqual(['approval', 'caching', 'host-app', 'plans', 'python-service']);
  });

  it.for(names)('%s prints its expected output', async (name, { skip }) => {
    const program = missing(name);
    if (program !== undefined) {
      console.log(`examples/${name} is skipped: ${program} is not installed`);
      skip(`${program} is not installed`);
    }
    const main = fileURLToPath(new URL(`${name}/main.mjs`, folder));
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [main], { timeout: 100_000 });
    expect(stderr).toBe('');
    expect(stdout).toBe(await readFile(new URL(`${name}/expected.txt`, folder), 'utf8'));
  });
});

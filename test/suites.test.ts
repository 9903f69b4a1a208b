import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const CONFIGS = ['vitest.config.ts', 'vitest.prove.config.ts', 'vitest.faults.config.ts'] as const;
const TEST_FILE = /\.(?:test|spec)\.[cm]?[jt]sx?$/;
const NOT_OURS = new Set(['node_modules', 'dist', '.git']);

/** Every test file of the repository. */
async function testFiles(folder = ''): Promise<string[]> {
  const found: string[] = [];
  for (const entry of await readdir(`${root}${folder}`, { withFileTypes: true })) {
    const path = `${folder}${entry.name}`;
    if (entry.isDirectory() && !NOT_OURS.has(entry.name)) found.push(...(await testFiles(`${path}/`)));
    else if (entry.isFile() && TEST_FILE.test(entry.name)) found.push(path);
  }
  return found;
}

/** The test files that vitest finds with a configuration. */
async function suite(config: string): Promise<string[]> {
  const args = [`${root}node_modules/vitest/vitest.mjs`, 'list', '--filesOnly', '--json', '--config', config];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root });
  return (JSON.parse(stdout) as { readonly file: string }[]).map(({ file }) => file.slice(root.length));
}

describe('npm test, npm run prove and npm run faults', () => {
  it('cover each test file exactly once', async () => {
    const suites = await Promise.all(CONFIGS.map(suite));
    for (const files of suites) expect(files).not.toEqual([]);
    expect(suites.flat().toSorted()).toEqual((await testFiles()).toSorted());
  });

  it.each(CONFIGS)('%s fails for an unhandled error', async (config) => {
    const { test } = ((await import(`../${config}`)) as { default: { test?: object } }).default;
    expect(test).toBeDefined();
    expect(test).not.toHaveProperty('dangerouslyIgnoreUnhandledErrors');
    const { scripts } = JSON.parse(await readFile(`${root}package.json`, 'utf8')) as { scripts: object };
    expect(JSON.stringify(scripts)).not.toContain('dangerouslyIgnoreUnhandledErrors');
  });
});

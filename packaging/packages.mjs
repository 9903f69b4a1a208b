// The packages that are published, and their tarballs as `npm publish` would upload them.
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

export const root = fileURLToPath(new URL('../', import.meta.url));
const FOLDERS = [
  'packages/core',
  'packages/redis-adapter',
  'packages/ws-server',
  'packages/notifier',
  'packages/cli',
  'examples/local-stack',
];
const PACK_LIMIT_MS = 60_000;

/** @returns {Promise<{ folder: string, path: string, manifest: Record<string, any> }[]>} */
export function publishedPackages() {
  return Promise.all(
    FOLDERS.map(async (folder) => {
      const path = join(root, folder);
      return { folder, path, manifest: JSON.parse(await readFile(join(path, 'package.json'), 'utf8')) };
    }),
  );
}

/**
 * Packs what is built.
 *
 * @param {string} destination An existing folder.
 * @returns {Promise<Map<string, string>>} The path of each tarball, by the name of its package.
 */
export async function pack(destination) {
  const args = ['pack', '--ignore-scripts', '--json', '--pack-destination', destination];
  for (const folder of FOLDERS) args.push('--workspace', folder);
  const options = { cwd: root, timeout: PACK_LIMIT_MS, maxBuffer: 64 * 2 ** 20 };
  const { stdout } = await promisify(execFile)('npm', args, options);
  // npm 11 writes an object by name, earlier versions a list.
  const packed = Object.values(JSON.parse(stdout));
  return new Map(packed.map(({ name, filename }) => [name, join(destination, filename)]));
}

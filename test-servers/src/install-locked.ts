import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const INSTALL_LIMIT_MS = 300_000;

/**
 * Installs a package that is no workspace, so that `npm ci` of the repository does not: the versions of its own
 * lock, without install scripts. Does nothing if they are installed.
 *
 * @throws {Error} with the output of npm.
 */
export async function installLocked(folder: string, signal?: AbortSignal): Promise<void> {
  const lock = await readFile(join(folder, 'package-lock.json'));
  // A copy of the lock that `node_modules` was installed from.
  const copy = join(folder, 'node_modules', '.installed-lock.json');
  const installed = await readFile(copy).catch(() => undefined);
  if (installed?.equals(lock)) return;
  console.error(`installing ${folder}`);
  const options = { cwd: folder, timeout: INSTALL_LIMIT_MS, ...(signal && { signal }) };
  try {
    await promisify(execFile)('npm', ['ci', '--ignore-scripts'], options);
  } catch (error) {
    const { message, stderr = '' } = error as Error & { stderr?: string };
    throw new Error(`${message}\n${stderr}`, { cause: error });
  }
  await writeFile(copy, lock);
}

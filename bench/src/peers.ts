import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Competitor } from './redis/competitor.js';

/** `bench/peers`: a package with a lock of its own, outside the workspaces, so that `npm ci` installs no peer. */
const FOLDER = fileURLToPath(new URL('../peers/', import.meta.url));
const COMPILER = fileURLToPath(new URL('../../node_modules/typescript/bin/tsc', import.meta.url));
const LOCK = `${FOLDER}package-lock.json`;
/** A copy of the lock that `node_modules` was installed from. */
const INSTALLED = `${FOLDER}node_modules/.installed-lock.json`;
const INSTALL_LIMIT_MS = 300_000;
const COMPILE_LIMIT_MS = 60_000;

export interface Peer {
  readonly BullMq: new (url: string) => Competitor;
}

const run = promisify(execFile);

async function isInstalled(): Promise<boolean> {
  const [lock, installed] = await Promise.all([readFile(LOCK), readFile(INSTALLED).catch(() => undefined)]);
  return installed !== undefined && lock.equals(installed);
}

/**
 * Installs the peers, unless they are installed in the versions of their lock, and compiles what drives them.
 * @throws {Error} with the output of npm or of the compiler.
 */
export async function installPeers(signal?: AbortSignal): Promise<void> {
  const options = { cwd: FOLDER, ...(signal === undefined ? {} : { signal }) };
  if (!(await isInstalled())) {
    console.error(`installing ${FOLDER}`);
    // No install script: the native part of msgpackr comes as a package of its own.
    await outputOnFailure(run('npm', ['ci', '--ignore-scripts'], { ...options, timeout: INSTALL_LIMIT_MS }));
    await writeFile(INSTALLED, await readFile(LOCK));
  }
  await outputOnFailure(
    run(process.execPath, [COMPILER, '-p', FOLDER], { ...options, timeout: COMPILE_LIMIT_MS }),
  );
}

/** The compiler writes to stdout, npm to stderr: an error has both. */
async function outputOnFailure(program: Promise<unknown>): Promise<void> {
  try {
    await program;
  } catch (error) {
    const { message, stdout = '', stderr = '' } = error as Error & { stdout?: string; stderr?: string };
    throw new Error(`${message}\n${stdout}${stderr}`, { cause: error });
  }
}

/** @throws {Error} if {@link installPeers} has not run. */
export async function loadPeer(): Promise<Peer> {
  // Known at run time only: without the peers this file would not compile.
  const built = new URL('../peers/dist/bullmq.js', import.meta.url).href;
  return (await import(built)) as Peer;
}

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { installLocked } from '@agent-orchestrator/test-servers';
import type { Competitor } from './redis/competitor.js';

/** `bench/peers`: a package with a lock of its own, outside the workspaces, so that `npm ci` installs no peer. */
const FOLDER = fileURLToPath(new URL('../peers/', import.meta.url));
const COMPILER = fileURLToPath(new URL('../../node_modules/typescript/bin/tsc', import.meta.url));
const COMPILE_LIMIT_MS = 60_000;

export interface Peer {
  readonly BullMq: new (url: string) => Competitor;
}

const run = promisify(execFile);

/**
 * Installs the peers, unless they are installed in the versions of their lock, and compiles what drives them.
 * @throws {Error} with the output of npm or of the compiler.
 */
export async function installPeers(signal?: AbortSignal): Promise<void> {
  // No install script: the native part of msgpackr comes as a package of its own.
  await installLocked(FOLDER, signal);
  const options = { cwd: FOLDER, timeout: COMPILE_LIMIT_MS, ...(signal && { signal }) };
  try {
    await run(process.execPath, [COMPILER, '-p', FOLDER], options);
  } catch (error) {
    // The compiler writes its errors to stdout.
    const { message, stdout = '' } = error as Error & { stdout?: string };
    throw new Error(`${message}\n${stdout}`, { cause: error });
  }
}

/** @throws {Error} if {@link installPeers} has not run. */
export async function loadPeer(): Promise<Peer> {
  // Known at run time only: without the peers this file would not compile.
  const built = new URL('../peers/dist/bullmq.js', import.meta.url).href;
  return (await import(built)) as Peer;
}

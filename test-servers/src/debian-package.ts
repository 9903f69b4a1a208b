import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { withExclusiveLock } from './exclusive-lock.js';

/** Inputs of the search; the defaults are those of this machine. */
export interface FindOptions {
  readonly path?: string;
  /** User id: only root can install. */
  readonly uid?: number;
  /** File that identifies Debian. */
  readonly debianVersionFile?: string;
  readonly policyFile?: string;
  readonly lockFolder?: string;
  readonly run?: (command: string, args: readonly string[]) => Promise<unknown>;
}

/** What is looked for, and the package of Debian that has it. */
export interface Wanted<T> {
  readonly debianPackage: string;
  readonly find: (path: string) => Promise<T | undefined>;
  /** Text of the error. @param why what was tried without success, as the end of a sentence. */
  readonly missing: (why: string) => string;
}

/** Run by Debian's packages before they start a service: 101 denies it. */
const POLICY = '#!/bin/sh\n# left by the tests of agent-orchestrator; it may be removed\nexit 101\n';
const LOCK_TIMES = { timeoutMs: 240_000, staleMs: 600_000 };
const INSTALL_MS = 180_000;

/**
 * Programs on the PATH; else, as root on Debian, their package is installed, without starting a service.
 *
 * @throws {Error} that says what to install.
 */
export async function findOrInstall<T>(wanted: Wanted<T>, options: FindOptions = {}): Promise<T> {
  const { path = process.env['PATH'] ?? '', uid = process.getuid?.() } = options;
  const { debianVersionFile = '/etc/debian_version' } = options;
  const there = await wanted.find(path);
  if (there) return there;
  const isDebian = await stat(debianVersionFile).then(
    () => true,
    () => false,
  );
  if (uid !== 0 || !isDebian) throw new Error(wanted.missing('found neither on the PATH'));
  // One lock for all packages: apt-get has one too.
  const folder = options.lockFolder ?? join(tmpdir(), 'agent-orchestrator-install.lock');
  return withExclusiveLock(folder, LOCK_TIMES, async () => {
    // Another process may have installed it during the wait.
    const installed = (await wanted.find(path)) ?? (await install(wanted, path, options));
    if (!installed) throw new Error(wanted.missing('apt-get installed it, but it is not on the PATH'));
    return installed;
  });
}

async function install<T>(wanted: Wanted<T>, path: string, options: FindOptions): Promise<T | undefined> {
  const { run = runCommand, policyFile = '/usr/sbin/policy-rc.d' } = options;
  const args = ['install', '-y', '--no-install-recommends', wanted.debianPackage];
  const isOurs = await writePolicy(policyFile);
  try {
    await run('apt-get', args).catch(async () => {
      // A new machine has no list of packages yet.
      await run('apt-get', ['update']);
      await run('apt-get', args);
    });
  } catch (error) {
    throw new Error(wanted.missing(`apt-get failed: ${(error as Error).message}`), { cause: error });
  } finally {
    if (isOurs) await rm(policyFile, { force: true });
  }
  return wanted.find(path);
}

/** Returns whether the file was written by these tests: any other file stays as it is. */
async function writePolicy(file: string): Promise<boolean> {
  try {
    await writeFile(file, POLICY, { mode: 0o755, flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    // Left by a test process that was killed.
    return (await readFile(file, 'utf8').catch(() => '')) === POLICY;
  }
}

/** Path of a program. */
export async function programOnPath(name: string, path: string): Promise<string | undefined> {
  for (const folder of path.split(delimiter).filter((part) => part !== '')) {
    const file = join(folder, name);
    const isThere = await access(file, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (isThere) return file;
  }
  return undefined;
}

function runCommand(command: string, args: readonly string[]): Promise<unknown> {
  return promisify(execFile)(command, [...args], {
    timeout: INSTALL_MS,
    maxBuffer: 16 << 20,
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  });
}

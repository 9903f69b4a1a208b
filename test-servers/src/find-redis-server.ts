import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { withExclusiveLock } from './exclusive-lock.js';

/** The programs of one Redis or Valkey. */
export interface RedisPrograms {
  readonly server: string;
  /** Next to the server; only for manual use. */
  readonly cli: string | undefined;
}

/** Inputs of the search; the defaults are those of this machine. */
export interface FindRedisOptions {
  readonly path?: string;
  /** User id: only root can install. */
  readonly uid?: number;
  /** File that identifies Debian. */
  readonly debianVersionFile?: string;
  readonly policyFile?: string;
  readonly lockFolder?: string;
  readonly run?: (command: string, args: readonly string[]) => Promise<unknown>;
}

const NAMES = ['redis', 'valkey'];
const INSTALL = ['install', '-y', '--no-install-recommends', 'redis-server'];
/** Run by Debian's packages before they start a service: 101 denies it. */
const POLICY = '#!/bin/sh\n# left by the tests of agent-orchestrator; it may be removed\nexit 101\n';
const LOCK_TIMES = { timeoutMs: 240_000, staleMs: 600_000 };
const INSTALL_MS = 180_000;

let found: Promise<RedisPrograms> | undefined;

/** The Redis of this machine, searched for once per process. See `searchRedisServer`. */
export function findRedisServer(): Promise<RedisPrograms> {
  found ??= searchRedisServer().catch((error: unknown) => {
    found = undefined;
    throw error;
  });
  return found;
}

/**
 * `redis-server` or `valkey-server` on the PATH; else, as root on Debian, it is installed, without being
 * started.
 *
 * @throws {Error} that says what to install.
 */
export async function searchRedisServer(options: FindRedisOptions = {}): Promise<RedisPrograms> {
  const { path = process.env['PATH'] ?? '', uid = process.getuid?.() } = options;
  const { debianVersionFile = '/etc/debian_version' } = options;
  const there = await onPath(path);
  if (there) return there;
  const isDebian = await stat(debianVersionFile).then(
    () => true,
    () => false,
  );
  if (uid !== 0 || !isDebian) throw new Error(missing('found neither on the PATH'));
  const folder = options.lockFolder ?? join(tmpdir(), 'agent-orchestrator-redis-install.lock');
  return withExclusiveLock(folder, LOCK_TIMES, async () => {
    // Another process may have installed it during the wait.
    const installed = (await onPath(path)) ?? (await install(path, options));
    if (!installed) throw new Error(missing('apt-get installed it, but it is not on the PATH'));
    return installed;
  });
}

async function install(path: string, options: FindRedisOptions): Promise<RedisPrograms | undefined> {
  const { run = runCommand, policyFile = '/usr/sbin/policy-rc.d' } = options;
  const isOurs = await writePolicy(policyFile);
  try {
    await run('apt-get', INSTALL).catch(async () => {
      // A new machine has no list of packages yet.
      await run('apt-get', ['update']);
      await run('apt-get', INSTALL);
    });
  } catch (error) {
    throw new Error(missing(`apt-get failed: ${(error as Error).message}`), { cause: error });
  } finally {
    if (isOurs) await rm(policyFile, { force: true });
  }
  return onPath(path);
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

async function onPath(path: string): Promise<RedisPrograms | undefined> {
  for (const name of NAMES) {
    const server = await program(`${name}-server`, path);
    if (server !== undefined) return { server, cli: await program(`${name}-cli`, path) };
  }
  return undefined;
}

async function program(name: string, path: string): Promise<string | undefined> {
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

function missing(why: string): string {
  return (
    `the tests need a Redis server: expected redis-server (7 or later) or valkey-server, ${why}.\n` +
    'Install one ("apt-get install redis-server", "brew install redis", "apk add valkey"), ' +
    'or name one that runs with TEST_REDIS_URL.'
  );
}

function runCommand(command: string, args: readonly string[]): Promise<unknown> {
  return promisify(execFile)(command, [...args], {
    timeout: INSTALL_MS,
    maxBuffer: 16 << 20,
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  });
}

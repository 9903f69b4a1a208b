import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

export interface ExclusiveLockOptions {
  /** Maximum wait for the lock. */
  readonly timeoutMs: number;
  /** An older lock is stale, whatever its process does. */
  readonly staleMs: number;
  readonly pollMs?: number;
}

/**
 * Runs `work` while this process owns a folder of this name: creating a folder succeeds for one process only.
 * A lock whose process has ended, or that is older than `staleMs`, is removed.
 */
export async function withExclusiveLock<T>(
  folder: string,
  { timeoutMs, staleMs, pollMs = 100 }: ExclusiveLockOptions,
  work: () => Promise<T>,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  while (!(await taken(folder))) {
    if (await isStale(folder, staleMs)) await removeStale(folder, staleMs);
    else if (performance.now() > deadline) {
      throw new Error(`${folder} is held by another process for longer than ${timeoutMs} ms`);
    } else await delay(pollMs);
  }
  try {
    return await work();
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function taken(folder: string): Promise<boolean> {
  try {
    await mkdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
  await writeFile(join(folder, 'pid'), String(process.pid));
  return true;
}

async function isStale(folder: string, staleMs: number): Promise<boolean> {
  const made = await stat(folder).catch(() => undefined);
  if (!made) return false;
  if (Date.now() - made.mtimeMs > staleMs) return true;
  const pid = Number(await readFile(join(folder, 'pid'), 'utf8').catch(() => '0'));
  return pid > 0 && !runs(pid);
}

/**
 * Two processes may see the same stale lock: moving it succeeds for one, which checks the moved folder once
 * more.
 */
async function removeStale(folder: string, staleMs: number): Promise<void> {
  const aside = `${folder}.${randomUUID()}`;
  try {
    await rename(folder, aside);
  } catch {
    return;
  }
  if (await isStale(aside, staleMs)) await rm(aside, { recursive: true, force: true });
  // It was a new lock, taken meanwhile: its owner gets it back, unless a third process has taken it.
  else await rename(aside, folder).catch(() => rm(aside, { recursive: true, force: true }));
}

function runs(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

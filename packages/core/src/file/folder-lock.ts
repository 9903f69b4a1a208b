import { randomUUID } from 'node:crypto';
import { readFile, readlink } from 'node:fs/promises';
import { z } from 'zod';
import { OrchestratorError } from '../protocol/errors.js';
import type { Disk } from './disk.js';

const holderSchema = z.object({
  pid: z.int().positive(),
  /** Boot of the machine; absent where it has no name. */
  boot: z.string().optional(),
  /** Start of the process, in the machine's own unit; absent where it is not known. */
  started: z.string().optional(),
  /** What its number is valid in, such as a container; absent where there is one for all. */
  namespace: z.string().optional(),
  /** Name of the socket at which it listens while it lives. */
  beacon: z.string().optional(),
});

/** The process that holds a folder. */
type Holder = z.output<typeof holderSchema>;

const NAME = /^lock-(\d{1,15})$/;
/** Rounds against other processes that take the lock at the same time. */
const MAX_ROUNDS = 100;

/**
 * Lock of a folder, held by one process. Its files are named `lock-<n>`: the highest number counts, and its file is complete
 * from the moment it exists. The lock of a process that has ended is taken over with the next number, which one process gets.
 */
export class FolderLock {
  private constructor(
    private readonly disk: Disk,
    private readonly name: string,
    private readonly endBeacon: () => Promise<void>,
  ) {}

  /**
   * @param where the folder, for messages.
   * @throws {OrchestratorError} `conflict` while another process, or this one, holds it.
   */
  static async take(disk: Disk, where: string): Promise<FolderLock> {
    const own = `lock.${randomUUID()}`;
    const beacon = `${own}.sock`;
    const endBeacon = await disk.beacon(beacon);
    try {
      const holder = await thisProcess();
      await disk.create(own, JSON.stringify({ ...holder, ...(endBeacon && { beacon }) }));
      return await FolderLock.#take(disk, where, { own, endBeacon: endBeacon ?? (async () => {}) });
    } catch (error) {
      await endBeacon?.();
      throw error;
    }
  }

  static async #take(
    disk: Disk,
    where: string,
    { own, endBeacon }: { readonly own: string; readonly endBeacon: () => Promise<void> },
  ): Promise<FolderLock> {
    try {
      for (let round = 0; round < MAX_ROUNDS; round += 1) {
        const locks = await numbersOf(disk);
        const newest = locks.at(-1) ?? 0;
        if (newest > 0) await refuseIfHeld(disk, newest, where);
        const next = newest + 1;
        if (!(await tryLink(disk, own, `lock-${next}`))) continue;
        const lock = new FolderLock(disk, `lock-${next}`, endBeacon);
        try {
          // Since the list was read, others may have taken the folder, with any number.
          const others = (await numbersOf(disk)).filter((number) => number !== next);
          for (const other of others) await refuseIfHeld(disk, other, where);
          for (const old of others) await removeIfThere(disk, `lock-${old}`);
          await removeLeftOvers(disk, own);
        } catch (error) {
          await lock.release();
          throw error;
        }
        return lock;
      }
    } finally {
      await removeIfThere(disk, own);
    }
    throw new OrchestratorError('conflict', `${where}: other processes open it again and again`);
  }

  async release(): Promise<void> {
    await removeIfThere(this.disk, this.name);
    await this.endBeacon();
  }
}

async function numbersOf(disk: Disk): Promise<number[]> {
  const numbers = (await disk.list()).map((name) => Number(NAME.exec(name)?.[1] ?? 0));
  return numbers.filter((number) => number > 0).toSorted((a, b) => a - b);
}

/** Whether the name was free. */
async function tryLink(disk: Disk, from: string, to: string): Promise<boolean> {
  try {
    await disk.link(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

async function removeIfThere(disk: Disk, name: string): Promise<void> {
  await disk.remove(name).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
}

const LEFT_OVER = /^lock\.[0-9a-f-]{36}$/;
const SOCKET = /^lock\.[0-9a-f-]{36}\.sock$/;

/** What processes have left that ended while they opened the folder, or that were killed. */
async function removeLeftOvers(disk: Disk, own: string): Promise<void> {
  for (const name of await disk.list()) {
    if (name.startsWith(own)) continue;
    if (LEFT_OVER.test(name)) {
      const text = await disk.readText(name).catch(() => undefined);
      const holder = text === undefined ? undefined : holderOf(text);
      // One that is being written has no content yet.
      if (holder && !(await isRunning(disk, holder))) await removeIfThere(disk, name);
    } else if (SOCKET.test(name) && !(await disk.answers(name))) {
      await removeIfThere(disk, name);
    }
  }
}

async function refuseIfHeld(disk: Disk, number: number, where: string): Promise<void> {
  const text = await disk.readText(`lock-${number}`).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  const holder = text === undefined ? undefined : holderOf(text);
  if (!holder || !(await isRunning(disk, holder))) return;
  const isElsewhere = holder.namespace !== (await namespaceOf());
  throw new OrchestratorError(
    'conflict',
    `${where}: expected a folder that no other process uses, got one of process ${holder.pid}${isElsewhere ? ' of another container' : ''}: stop that process, or use another folder`,
  );
}

/** `undefined` for a damaged file: its process did not survive writing it. */
function holderOf(text: string): Holder | undefined {
  try {
    return holderSchema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

async function thisProcess(): Promise<Holder> {
  const { pid } = process;
  return { pid, boot: await bootOf(), started: await startOf(pid), namespace: await namespaceOf() };
}

/** Whether this very process still runs: a number is used again, after a restart of the machine at the latest. */
async function isRunning(disk: Disk, { pid, boot, started, namespace, beacon }: Holder): Promise<boolean> {
  const current = await bootOf();
  if (boot !== undefined && current !== undefined && boot !== current) return false;
  // Its number means nothing here.
  if (namespace !== undefined && namespace !== (await namespaceOf()))
    return beacon === undefined || (await disk.answers(beacon));
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: a process of another user.
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  const now = await startOf(pid);
  return started === undefined || now === undefined || started === now;
}

/** Name of the kernel's boot; known on Linux only. */
async function bootOf(): Promise<string | undefined> {
  if (process.platform !== 'linux') return undefined;
  return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => undefined))?.trim();
}

/** Name of the namespace that the numbers of processes are valid in; known on Linux only. */
async function namespaceOf(): Promise<string | undefined> {
  if (process.platform !== 'linux') return undefined;
  return readlink('/proc/self/ns/pid').catch(() => undefined);
}

/** Start of a process in ticks since the boot; known on Linux only. */
async function startOf(pid: number): Promise<string | undefined> {
  if (process.platform !== 'linux') return undefined;
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  // The name of the program, in parentheses, may contain blanks and parentheses.
  return text?.slice(text.lastIndexOf(')') + 2).split(' ')[19];
}

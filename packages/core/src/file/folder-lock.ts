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

/** How long a lock is believed to be there, ms. */
const CONFIRM_AGAIN_MS = 1_000;
/** What a lock cannot be read for if it is gone. */
const GONE = new Set(['ENOENT', 'ENOTDIR', 'ESTALE']);

interface LockParts {
  readonly disk: Disk;
  /** The folder, for messages. */
  readonly where: string;
  /** Of the file. */
  readonly name: string;
  /** Content of the file, which no other lock has. */
  readonly text: string;
  readonly endBeacon: () => Promise<void>;
}

/**
 * Lock of a folder, held by one process. Its files are named `lock-<n>`: the highest number counts, and its file is complete
 * from the moment it exists. The lock of a process that has ended is taken over with the next number, which one process gets.
 */
export class FolderLock {
  /** When the lock is looked at again, ms. */
  #confirmAt = 0;

  private constructor(private readonly parts: LockParts) {}

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
      const text = JSON.stringify({ ...holder, own, ...(endBeacon && { beacon }) });
      await disk.create(own, text);
      return await FolderLock.#take(own, { disk, where, text, endBeacon: endBeacon ?? (async () => {}) });
    } catch (error) {
      await endBeacon?.();
      throw error;
    }
  }

  static async #take(own: string, parts: Omit<LockParts, 'name'>): Promise<FolderLock> {
    const { disk, where } = parts;
    try {
      for (let round = 0; round < MAX_ROUNDS; round += 1) {
        const locks = await numbersOf(disk);
        const newest = locks.at(-1) ?? 0;
        if (newest > 0) await refuseIfHeld(disk, newest, where);
        const next = newest + 1;
        if (!(await tryLink(disk, own, `lock-${next}`))) continue;
        const lock = new FolderLock({ ...parts, name: `lock-${next}` });
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

  /**
   * Makes sure that the folder is still that of this process: who removes it, or its lock, may have begun a new one at its place.
   *
   * @throws {OrchestratorError} `storage_unavailable` if it is not.
   */
  async confirm(): Promise<void> {
    const { where, name, text } = this.parts;
    const found = await this.#found();
    if (found === text) return;
    throw new OrchestratorError(
      'storage_unavailable',
      `${where}: expected the file ${name} of this process, got ${found === undefined ? 'none' : 'that of another one'}: the folder was removed or exchanged while it was in use, and what was written last may be gone: restart the process`,
    );
  }

  /** As `confirm`, which looks at the disk once in a second at most. */
  async confirmSometimes(): Promise<void> {
    const now = performance.now();
    if (now < this.#confirmAt) return;
    this.#confirmAt = now + CONFIRM_AGAIN_MS;
    await this.confirm();
  }

  async release(): Promise<void> {
    const { disk, name, text, endBeacon } = this.parts;
    if ((await this.#found()) === text) await removeIfThere(disk, name);
    await endBeacon();
  }

  /** Content of the file; `undefined` if there is none. */
  #found(): Promise<string | undefined> {
    const { disk, name, text } = this.parts;
    return disk.readText(name).catch((error: NodeJS.ErrnoException) => {
      // Otherwise nothing is known about it, such as without a free descriptor.
      return GONE.has(error.code ?? '') ? undefined : text;
    });
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
      if (holder && holder !== 'unknown' && !(await isRunning(disk, holder))) await removeIfThere(disk, name);
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
  if (holder === 'unknown')
    throw new OrchestratorError(
      'conflict',
      `${where}/lock-${number}: expected a lock of this version, got that of another one: stop the process that uses the folder; if there is none, remove the file`,
    );
  if (!holder || !(await isRunning(disk, holder))) return;
  throw new OrchestratorError(
    'conflict',
    `${where}: expected a folder that no other process uses, got ${await useOf(holder)}, or use another folder`,
  );
}

/** Who uses the folder, and how that ends. */
async function useOf({ pid, namespace }: Holder): Promise<string> {
  if (namespace !== (await namespaceOf()))
    return `one of process ${pid} of another container: stop that process`;
  if (pid === process.pid) return `one of process ${pid}, which is this one: close it first`;
  return `one of process ${pid}: stop that process`;
}

/** `undefined` for a damaged file: its process did not survive writing it. `unknown`: of a version that writes other ones. */
function holderOf(text: string): Holder | 'unknown' | undefined {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return undefined;
  }
  return holderSchema.safeParse(json).data ?? 'unknown';
}

async function thisProcess(): Promise<Holder> {
  const { pid } = process;
  const started = (await statusOf(pid))?.started;
  return { pid, boot: await bootOf(), started, namespace: await namespaceOf() };
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
  const now = await statusOf(pid);
  if (now === undefined) return true;
  // It has ended, and its parent has not asked how: that may never happen.
  if (now.state === 'Z' && now.threads <= 1) return false;
  return started === undefined || started === now.started;
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

interface ProcessStatus {
  /** `Z`: its first thread has ended. */
  readonly state: string | undefined;
  /** Those that have not ended may still write. */
  readonly threads: number;
  /** In ticks since the boot. */
  readonly started: string | undefined;
}

/** Known on Linux only. */
async function statusOf(pid: number): Promise<ProcessStatus | undefined> {
  if (process.platform !== 'linux') return undefined;
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  // The name of the program, in parentheses, may contain blanks and parentheses.
  const fields = text?.slice(text.lastIndexOf(')') + 2).split(' ');
  return fields && { state: fields[0], threads: Number(fields[17]), started: fields[19] };
}

import { resolve } from 'node:path';
import { inJson, newEpoch } from '../engine/engine-gate.js';
import { Engine } from '../engine/engine.js';
import type { EngineLimits, EngineSettings } from '../engine/engine-state.js';
import { withinHeap } from '../engine/memory-storage.js';
import { storagePorts } from '../engine/ports/storage-ports.js';
import { OrchestratorError } from '../protocol/errors.js';
import { DEFAULTS } from '../protocol/settings.js';
import { messageOf } from '../protocol/thrown.js';
import { type Clock, systemClock } from '../runtime/clock.js';
import { type Random, systemRandom } from '../runtime/random.js';
import type { StoragePorts } from '../storage/checked-storage.js';
import type { Storage } from '../storage/storage.js';
import type { SystemEvents } from '../storage/system-events.js';
import type { Wakeups } from '../storage/wakeups.js';
import { type Disk, type DiskFile, openFolder } from './disk.js';
import { FileGate } from './file-gate.js';
import { FolderLock } from './folder-lock.js';
import { commandOf, digestOf, ENGINE_VERSION, readEntries, readHead, writeHead } from './log-entries.js';
import { readFrames } from './log-reader.js';
import { type Durability, isWithoutRoom, LogWriter } from './log-writer.js';

/** Options of `FileStorage.open`. */
export interface FileStorageOptions {
  /**
   * What an acknowledged change survives. `power` (default): a loss of power, by `fdatasync`; `process`: the end of the
   * process, such as by `kill -9`, but not that of the machine.
   */
  readonly durability?: Durability;
  /** Default: system clock. */
  readonly clock?: Clock;
  readonly random?: Random;
  /** Retention, event log bounds and the like. Default: as in memory, within the heap of the process. */
  readonly limits?: Partial<EngineLimits>;
}

/** For tests: a folder that is not one of the file system. */
interface DiskOptions extends FileStorageOptions {
  readonly disk?: Disk;
}

const LOG = 'log-1';

interface Opened {
  readonly engine: Engine;
  /** End of the intact part. */
  readonly position: number;
  readonly isNew: boolean;
  readonly isTorn: boolean;
}

/**
 * Storage of one process in a folder: the engine, and an append-only log of its commands. Nothing is visible before it is
 * durable; whatever was acknowledged is there when the folder is opened again.
 */
export class FileStorage implements Storage {
  readonly tasks: StoragePorts['tasks'];
  readonly queue: StoragePorts['queue'];
  readonly journal: StoragePorts['journal'];
  readonly sessions: StoragePorts['sessions'];
  readonly events: StoragePorts['events'];
  readonly tenants: StoragePorts['tenants'];
  readonly tickets: StoragePorts['tickets'];
  readonly usage: StoragePorts['usage'];
  readonly workers: StoragePorts['workers'];
  readonly wakeups: Wakeups;
  readonly systemEvents: SystemEvents;
  #closed: Promise<void> | undefined;

  private constructor(
    private readonly gate: FileGate,
    private readonly lock: FolderLock,
    /** The engine's state, for tests. */
    private readonly engine: Engine,
  ) {
    const ports = storagePorts(gate);
    this.tasks = ports.tasks;
    this.queue = ports.queue;
    this.journal = ports.journal;
    this.sessions = ports.sessions;
    this.events = ports.events;
    this.tenants = ports.tenants;
    this.tickets = ports.tickets;
    this.usage = ports.usage;
    this.workers = ports.workers;
    this.wakeups = gate.wakeups;
    this.systemEvents = gate.systemEvents;
  }

  /**
   * Opens a folder; creates it if it does not exist.
   *
   * @throws {OrchestratorError} `conflict` while another process uses the folder; `invalid_request` for a path that is no
   *   folder to write to; `storage_unavailable` for a disk that is full; `internal_error` for a damaged log, or one whose
   *   commands lead to other answers than they did.
   */
  static async open(folder: string, options: FileStorageOptions = {}): Promise<FileStorage> {
    const where = resolve(folder);
    try {
      return await FileStorage.#open(where, options);
    } catch (error) {
      throw error instanceof OrchestratorError ? error : unusable(where, error);
    }
  }

  static async #open(where: string, options: DiskOptions): Promise<FileStorage> {
    const { disk: given, clock = systemClock, random = systemRandom } = options;
    const disk = given ?? (await openFolder(where));
    const lock = await FolderLock.take(disk, where);
    let file: DiskFile | undefined;
    try {
      file = await disk.open(LOG);
      const limits = inJson({ ...DEFAULTS, ...withinHeap(), ...options.limits });
      const settings = { epoch: newEpoch(random), limits };
      const opened = await rebuild(file, `${where}/${LOG}`, settings);
      await file.truncate(opened.position);
      const { durability = 'power' } = options;
      const log = new LogWriter({ file, position: opened.position, durability });
      const { engine } = opened;
      if (opened.isNew) {
        await log.append([writeHead(settings)]);
        await disk.sync();
      }
      const gate = new FileGate({ engine, log, clock, random, where });
      // A reader may know events of a part that is cut off: they were never acknowledged, but may have been written.
      await gate.execute('state.reopen', { limits, ...(opened.isTorn && { epoch: newEpoch(random) }) });
      return new FileStorage(gate, lock, engine);
    } catch (error) {
      await file?.close().catch(() => undefined);
      await lock.release().catch(() => undefined);
      throw error;
    }
  }

  async ping(): Promise<void> {
    this.gate.checkOpen();
  }

  /** Resolves once everything acknowledged is durable and the folder is free. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    await this.gate.close();
    await this.lock.release();
  }
}

function unusable(where: string, cause: unknown): OrchestratorError {
  if (isWithoutRoom(cause))
    return new OrchestratorError('storage_unavailable', `${where}: the disk has no room`, { cause });
  const { code } = cause as NodeJS.ErrnoException;
  if (code === undefined)
    return new OrchestratorError('internal_error', `${where}: ${messageOf(cause)}`, { cause });
  const message = `${where}: expected a folder to read and write, got ${code}: ${messageOf(cause)}`;
  return new OrchestratorError('invalid_request', message, { cause });
}

/** The engine of a log, with the digest of each answer compared. */
async function rebuild(file: DiskFile, where: string, settings: EngineSettings): Promise<Opened> {
  const frames = readFrames(file, where);
  const first = await frames.next();
  if (first.done === true) {
    const { position, isTorn } = first.value;
    return { engine: new Engine(settings), position, isNew: true, isTorn };
  }
  const head = readHead(first.value.body);
  if (head.engine !== ENGINE_VERSION) {
    throw new OrchestratorError(
      'internal_error',
      `${where}: expected a log of version ${ENGINE_VERSION} of the engine, got one of version ${head.engine}`,
    );
  }
  const engine = new Engine(head.settings);
  for (;;) {
    const next = await frames.next();
    if (next.done === true) return { engine, ...next.value, isNew: false };
    const { position, body } = next.value;
    for (const [at, entry] of readEntries(body).entries()) {
      const digest = digestOf(engine.execute(commandOf(entry.command)));
      engine.takeEffects();
      if (digest === entry.digest) continue;
      throw new OrchestratorError(
        'internal_error',
        `${where}: expected the answer ${entry.digest} of command ${at} of the frame at byte ${position}, got ${digest}: the log was written by other rules`,
      );
    }
  }
}

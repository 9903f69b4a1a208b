import { resolve } from 'node:path';
import { inJson, newEpoch } from '../engine/engine-gate.js';
import type { Engine } from '../engine/engine.js';
import type { EngineLimits } from '../engine/engine-state.js';
import { EngineStorage } from '../engine/engine-storage.js';
import { withinHeap } from '../engine/memory-storage.js';
import { OrchestratorError } from '../protocol/errors.js';
import { DEFAULTS } from '../protocol/settings.js';
import { messageOf } from '../protocol/thrown.js';
import { type Clock, systemClock } from '../runtime/clock.js';
import { type Random, systemRandom } from '../runtime/random.js';
import { type Disk, openFolder } from './disk.js';
import { FileGate } from './file-gate.js';
import { cutEnd, guarded, unusable, warnOfNetwork } from './folder-access.js';
import { FolderLock } from './folder-lock.js';
import { logName, readFolder } from './folder-state.js';
import { continueLog } from './log-start.js';
import type { Durability } from './log-writer.js';
import { writeSnapshot } from './snapshot-file.js';
import { inThread, type SnapshotJob, snapshotOfFiles, Snapshots } from './snapshots.js';
import { StateLog } from './state-log.js';

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
  /** Called when something went wrong that loses nothing, such as a snapshot that failed. Default: `process.emitWarning`. */
  readonly onWarning?: (message: string) => void;
}

/** For tests: a folder that is not one of the file system, how large a log grows, and workers that outlive the storage. */
interface DiskOptions extends FileStorageOptions {
  readonly disk?: Disk;
  readonly minLogBytes?: number;
  readonly keepsWorkers?: boolean;
}

interface LockedFolder {
  readonly where: string;
  readonly disk: Disk;
  readonly lock: FolderLock;
  readonly options: DiskOptions;
}

interface FileParts {
  readonly engine: Engine;
  readonly gate: FileGate;
  readonly disk: Disk;
  readonly lock: FolderLock;
  readonly log: StateLog;
  readonly snapshots: Snapshots;
  readonly onFailure: (error: unknown) => void;
}

/** A log is followed by a new one, and a snapshot taken, when it is as large as the snapshot before, and at least so large. */
const MIN_LOG_BYTES = 2 ** 24;

/**
 * Storage of one process in a folder: the engine, and an append-only log of its commands. Nothing is visible before it is
 * durable; whatever was acknowledged is there when the folder is opened again.
 */
export class FileStorage extends EngineStorage {
  #closed: Promise<void> | undefined;
  /** The engine's state, for tests. */
  private readonly engine: Engine;

  private constructor(private readonly parts: FileParts) {
    super(parts.gate);
    this.engine = parts.engine;
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
    const disk = options.disk ?? (await openFolder(where));
    if (!options.disk) await warnOfNetwork(where, options.onWarning);
    const lock = await FolderLock.take(disk, where);
    try {
      return await FileStorage.#openLocked({ where, disk, lock, options });
    } catch (error) {
      await lock.release().catch(() => undefined);
      throw error;
    }
  }

  static async #openLocked({ where, disk, lock, options }: LockedFolder): Promise<FileStorage> {
    const { clock = systemClock, random = systemRandom, minLogBytes = MIN_LOG_BYTES } = options;
    const limits = inJson({ ...DEFAULTS, ...withinHeap(), ...options.limits });
    const settings = { epoch: newEpoch(random), limits };
    const state = await readFolder({ disk, where, settings });
    for (const name of state.obsolete) await disk.remove(name);
    const { durability = 'power' } = options;
    const onWarning = guarded(options.onWarning);
    const onFailure = (error: unknown) =>
      onWarning(`${where}: no snapshot was taken, and the log grows on: ${messageOf(error)}`);
    if (state.isTorn) onWarning(cutEnd({ folder: where, name: logName(state.log) }, state.position));
    const { engine, snapshotBytes: bytes } = state;
    const job: SnapshotJob = options.disk
      ? (number) => snapshotOfFiles(disk, where, number)
      : inThread(where);
    const snapshots = new Snapshots({ disk, lock, job, bytes, onFailure });
    const isLongEnough = (length: number) => length >= Math.max(snapshots.bytes, minLogBytes);
    const log = new StateLog({
      disk,
      lock,
      durability,
      writer: await continueLog(disk, state, { settings, durability }),
      number: state.log,
      isLongEnough: (length) => !snapshots.isRunning && isLongEnough(length),
      onNext: (number) => snapshots.begin(number),
      onFailure,
    });
    try {
      // A process that is killed again and again has no time for a snapshot, and each one would have more to replay.
      if (!state.isCurrent || isLongEnough(state.logBytes)) {
        snapshots.writeWith((number) => writeSnapshot(disk, number, engine));
        const hasBegun = await log.next();
        // A log has commands of one version only.
        if (!hasBegun && !state.isCurrent)
          throw new OrchestratorError('storage_unavailable', `${where}: no log of this version can be begun`);
        await snapshots.idle();
        snapshots.writeWith(job);
      }
      const gate = new FileGate({ engine, log, clock, random, where });
      // A reader may know events of a part that is cut off: they were never acknowledged, but may have been written.
      await gate.execute('state.reopen', {
        limits,
        ...(state.isTorn && { epoch: newEpoch(random) }),
        ...(options.keepsWorkers && { keepsWorkers: true }),
      });
      return new FileStorage({ gate, lock, engine, disk, log, snapshots, onFailure });
    } catch (error) {
      await log.close().catch(() => undefined);
      throw error;
    }
  }

  /**
   * Resolves once everything acknowledged is durable and the folder is free.
   *
   * @throws {OrchestratorError} `storage_unavailable` if the folder was removed, or taken by another process, meanwhile.
   */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    const { gate, lock, log, snapshots } = this.parts;
    const isWhole = await gate.close();
    // The state is in this process: a thread would have to read it first.
    snapshots.cancel();
    await snapshots.idle();
    try {
      if (isWhole) await this.#leaveSnapshot();
    } finally {
      try {
        await log.close();
      } finally {
        await lock.release();
      }
    }
  }

  /** The next start has nothing to replay, whatever its version. */
  async #leaveSnapshot(): Promise<void> {
    const { engine, disk, lock, log, snapshots, onFailure } = this.parts;
    await lock.confirm();
    snapshots.writeWith((number) => writeSnapshot(disk, number, engine));
    await log.next().catch(onFailure);
    await snapshots.idle();
  }
}

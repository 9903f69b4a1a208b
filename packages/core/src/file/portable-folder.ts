import { resolve } from 'node:path';
import { Engine } from '../engine/engine.js';
import { inJson, newEpoch } from '../engine/engine-gate.js';
import { type EngineSettings, EngineState } from '../engine/engine-state.js';
import { withinHeap } from '../engine/memory-storage.js';
import { engineRecords } from '../engine/portable/export-engine.js';
import { EngineFiller } from '../engine/portable/engine-filler.js';
import { OrchestratorError } from '../protocol/errors.js';
import { DEFAULTS } from '../protocol/settings.js';
import { type Clock, systemClock } from '../runtime/clock.js';
import { type Random, systemRandom } from '../runtime/random.js';
import type { ExportRecordsParams, ImportRecordsParams, PortableState } from '../storage/portable-state.js';
import type { PortableRecord } from '../storage/portable-records.js';
import { contentsOf, isFolderOfStorage } from './check-folder.js';
import { type Disk, openFolder } from './disk.js';
import { unusable } from './folder-access.js';
import { FolderLock } from './folder-lock.js';
import { type FolderState, isObsolete, logName, readFolder } from './folder-state.js';
import { writeHead } from './log-entries.js';
import { continueLog } from './log-start.js';
import { LogWriter } from './log-writer.js';
import { writeSnapshot } from './snapshot-file.js';

/** Options of a `PortableFolder`. */
export interface PortableFolderOptions {
  /** Default: system clock. */
  readonly clock?: Clock;
  readonly random?: Random;
}

/** For tests: a folder that is not one of the file system. */
interface DiskOptions extends PortableFolderOptions {
  readonly disk?: Disk;
}

/** Records between two turns of the event loop. */
const RECORDS_PER_TURN = 500;
const nextTurn = () => new Promise((next) => setImmediate(next));

/** A folder of `FileStorage` that no process uses at the moment. It is locked while it is read or filled. */
export class PortableFolder implements PortableState {
  readonly #where: string;
  readonly #options: DiskOptions;

  constructor(folder: string, options: PortableFolderOptions = {}) {
    this.#where = resolve(folder);
    this.#options = options;
  }

  async *exportRecords({ signal }: ExportRecordsParams): AsyncGenerator<PortableRecord> {
    const where = this.#where;
    if (!this.#options.disk && !(await isFolderOfStorage(where)))
      throw new OrchestratorError('invalid_request', `${where}: expected a folder of a storage, got none`);
    const { disk, lock } = await this.#open();
    try {
      const { engine } = await readFolder({ disk, where, settings: this.#settings() });
      let records = 0;
      for (const record of engineRecords(engine.state, this.#now())) {
        yield record;
        records += 1;
        if (records % RECORDS_PER_TURN > 0) continue;
        await nextTurn();
        signal.throwIfAborted();
      }
    } finally {
      await lock.release();
    }
  }

  async importRecords(params: ImportRecordsParams): Promise<void> {
    const { disk, lock } = await this.#open();
    try {
      await this.#fill(disk, params);
    } catch (error) {
      throw error instanceof OrchestratorError || params.signal.aborted
        ? error
        : unusable(this.#where, error);
    } finally {
      await lock.release();
    }
  }

  async close(): Promise<void> {}

  #now(): number {
    return (this.#options.clock ?? systemClock).now();
  }

  #settings(): EngineSettings {
    const { random = systemRandom } = this.#options;
    return { epoch: newEpoch(random), limits: inJson({ ...DEFAULTS, ...withinHeap() }) };
  }

  async #open(): Promise<{ readonly disk: Disk; readonly lock: FolderLock }> {
    try {
      const disk = this.#options.disk ?? (await openFolder(this.#where));
      return { disk, lock: await FolderLock.take(disk, this.#where) };
    } catch (error) {
      throw error instanceof OrchestratorError ? error : unusable(this.#where, error);
    }
  }

  /** Everything is in one snapshot: it has its name once it is whole, and until then the folder is empty. */
  async #fill(disk: Disk, { source, signal }: ImportRecordsParams): Promise<void> {
    const where = this.#where;
    const settings = this.#settings();
    const before = await readFolder({ disk, where, settings });
    refuseContent(where, before);
    const engine = new Engine(new EngineState(settings));
    const { random = systemRandom } = this.#options;
    const filler = new EngineFiller(engine.state, this.#now(), () => random.uuid());
    let records = 0;
    for await (const record of source.records()) {
      filler.add(record);
      records += 1;
      if (records % RECORDS_PER_TURN > 0) continue;
      await nextTurn();
      signal.throwIfAborted();
    }
    filler.end();
    await storeSnapshot(disk, before, engine, settings);
  }
}

function refuseContent(where: string, state: FolderState): void {
  const { tenants, sessions, tasks } = contentsOf(state);
  if (tenants + sessions + tasks === 0) return;
  const got = `one with tenants: ${tenants}, sessions: ${sessions}, tasks: ${tasks}`;
  throw new OrchestratorError('conflict', `${where}: expected an empty storage, got ${got}`, {
    retryable: false,
  });
}

/** The log that goes on from a snapshot is there before it. */
async function storeSnapshot(
  disk: Disk,
  before: FolderState,
  engine: Engine,
  settings: EngineSettings,
): Promise<void> {
  const last = await continueLog(disk, before, { settings, durability: 'power' });
  const previousEnd = last.position;
  await last.close();
  const number = before.log + 1;
  const file = await disk.open(logName(number));
  try {
    await file.truncate(0);
    const log = new LogWriter({ file, position: 0, durability: 'power' });
    await log.append([writeHead({ previousEnd })]);
    await log.sync();
  } finally {
    await file.close();
  }
  await disk.sync();
  await writeSnapshot(disk, number, engine);
  for (const name of await disk.list()) if (isObsolete(name, number)) await disk.remove(name);
}

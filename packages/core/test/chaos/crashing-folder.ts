import type { Clock, Storage } from '../../src/index.js';
import { FileStorage } from '../../src/file/file-storage.js';
import type { Durability } from '../../src/file/log-writer.js';
import type { DEFAULTS } from '../../src/protocol/index.js';
import { broken, type DiskOperation, MemoryDisk, noRoom } from '../file/memory-disk.js';
import { callOf, forwardingStorage, type Part } from '../forwarding-storage.js';
import type { Failpoint } from './failpoints.js';
import type { SeededRandom } from './seeded-random.js';

/** Logs so small that a story takes many snapshots. */
const SMALL_LOGS = 2 ** 16;
/** Space is reserved in writes of at least so many bytes: those are refused now and then. */
const RESERVED_BYTES = 2 ** 16;

/** How the disk of a story fails besides at deaths, in percent of its operations. */
export interface DiskFaults {
  readonly shortWrites: number;
  readonly noRoom: number;
  /** Default: `power`. A loss of power shows that the other is less. */
  readonly durability?: Durability;
}

export interface CrashingFolderOptions {
  readonly clock: Clock;
  readonly random: SeededRandom;
  readonly limits: Partial<Record<keyof typeof DEFAULTS, number>>;
  /** Whether the process dies at this operation of the disk: before it, or in the middle of what is not synced. */
  readonly diesAt: (point: Failpoint) => boolean;
  /** The process has died: it is to end, with `crash`. */
  readonly onDeath: () => void;
  readonly faults: DiskFaults;
}

/** Of one storage, from before it is opened until it is closed or has crashed. */
class Life {
  /** The storage once it is open; `undefined` if it has crashed before. */
  readonly opened: Promise<FileStorage | undefined>;
  isOpen = false;
  isBroken = false;
  readonly #ended = new AbortController();
  #settle: (storage: FileStorage | undefined) => void = () => {};

  constructor() {
    this.opened = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  /** Fires once it has ended. */
  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  open(storage: FileStorage): void {
    this.isOpen = true;
    this.#settle(storage);
  }

  end(): void {
    this.#ended.abort();
    this.#settle(undefined);
  }
}

/** What a loss of power leaves of the sectors that were not synced. */
const LEAVES = ['all', 'none', 'some'] as const;

/**
 * A folder that one process after the other uses. Each dies with its storage; what the disk has kept is what the next
 * one finds. Observers have a storage of their own that stands for the one that is open.
 */
export class CrashingFolder {
  /** For observers: a call that a death interrupts is made again at the next storage. */
  readonly observed: Storage;
  /** Number of times that a storage was opened. */
  opened = 0;
  /** Operations at which a write was shortened or refused. */
  faulted = 0;
  readonly #options: CrashingFolderOptions;
  #disk: MemoryDisk;
  #life = new Life();

  constructor(options: CrashingFolderOptions) {
    this.#options = options;
    this.#disk = this.#withFaults(new MemoryDisk());
    this.observed = forwardingStorage({
      call: (part, method, params) => this.#call(part, method, params),
      follow: (part, method, params) => this.#follow(part, method, params),
      publish: () => {},
      subscribe: () => () => {},
      ping: async () => (await this.#life.opened)?.ping(),
      close: async () => (await this.#life.opened)?.close(),
    });
  }

  /** Opens what is there; `undefined` if the process dies meanwhile. */
  async open(): Promise<Storage | undefined> {
    const life = this.#life;
    const { clock, random, limits, faults } = this.#options;
    const durability = faults.durability ?? 'power';
    const options = {
      clock,
      random,
      limits,
      durability,
      disk: this.#disk,
      minLogBytes: SMALL_LOGS,
      onWarning: () => {},
    };
    try {
      const storage = await FileStorage.open('folder', options);
      if (life !== this.#life) return undefined;
      this.opened += 1;
      life.open(storage);
      return storage;
    } catch (error) {
      if (life !== this.#life) return undefined;
      throw error;
    }
  }

  /** Closes the storage in good order, unless the process dies meanwhile: `false`. */
  async close(): Promise<boolean> {
    const life = this.#life;
    const storage = await life.opened;
    life.isOpen = false;
    try {
      await storage?.close();
    } catch (error) {
      if (life === this.#life) throw error;
    }
    if (life !== this.#life) return false;
    this.#begin();
    return true;
  }

  /** The process has ended: its storage has no effect any more, and the disk is as the next process finds it. */
  crash(): void {
    const { random } = this.#options;
    const leaves = random.pick(LEAVES);
    const left = this.#disk.afterPowerLoss(
      () => leaves === 'all' || (leaves === 'some' && random.random(50)),
    );
    this.#disk.fault = () => {
      throw broken();
    };
    this.#disk = this.#withFaults(left);
    this.#begin();
  }

  #begin(): void {
    const before = this.#life;
    this.#life = new Life();
    before.end();
  }

  #withFaults(disk: MemoryDisk): MemoryDisk {
    const { clock, random, diesAt, onDeath, faults } = this.#options;
    disk.fault = (operation, name, bytes) => {
      const life = this.#life;
      if (life.isBroken) throw broken();
      if (diesAt(pointOf(operation, name))) {
        life.isBroken = true;
        // A process may outlive its storage for a while.
        if (life.isOpen && random.random(30)) clock.after(500, () => life === this.#life && onDeath());
        else onDeath();
        throw broken();
      }
      if (operation !== 'write') return undefined;
      if (bytes >= RESERVED_BYTES && random.random(faults.noRoom)) {
        this.faulted += 1;
        throw noRoom();
      }
      if (!random.random(faults.shortWrites)) return undefined;
      this.faulted += 1;
      return Math.max(1, random.below(bytes));
    };
    return disk;
  }

  async #call(part: Part, method: string, params: unknown): Promise<unknown> {
    for (;;) {
      const life = this.#life;
      const storage = await life.opened;
      if (!storage) continue;
      try {
        const answer = await callOf(storage, part, method, params);
        if (life === this.#life) return answer;
      } catch (error) {
        if (life === this.#life) throw error;
      }
    }
  }

  /** Goes on where the storage before has ended: a gap says that its last events are lost. */
  async *#follow(part: Part, method: string, params: unknown): AsyncGenerator {
    const { signal, ...from } = params as { readonly after: string; readonly signal: AbortSignal };
    let { after } = from;
    while (!signal.aborted) {
      const { opened, ended } = this.#life;
      const now = { ...from, after, signal: AbortSignal.any([signal, ended]) };
      const storage = await opened;
      if (!storage) continue;
      try {
        for await (const event of callOf(storage, part, method, now) as AsyncIterable<Positioned>) {
          after = event.cursor ?? event.to ?? after;
          yield event;
        }
      } catch (error) {
        if (!ended.aborted) throw error;
      }
    }
  }
}

/** An event, or a gap. */
interface Positioned {
  readonly cursor?: string;
  readonly to?: string;
}

/** Failpoint of an operation of the disk, by the kind of its file. */
function pointOf(operation: DiskOperation, name: string): Failpoint {
  const kind = name === '' ? 'folder' : name.replace(/[.-].*?(?=(?:\.tmp)?$)/, '');
  return `disk.${operation}/${kind}:before`;
}

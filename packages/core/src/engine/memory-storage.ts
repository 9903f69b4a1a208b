import { getHeapStatistics } from 'node:v8';
import { type Clock, systemClock } from '../runtime/clock.js';
import { DEFAULTS } from '../protocol/settings.js';
import { type Random, systemRandom } from '../runtime/random.js';
import { type CommandObserver, EngineGate } from './engine-gate.js';
import type { EngineLimits } from './engine-state.js';
import { EngineStorage } from './engine-storage.js';

/** Options of `MemoryStorage`. */
export interface MemoryStorageOptions {
  /** Default: system clock. */
  readonly clock?: Clock;
  readonly random?: Random;
  /**
   * Retention, event log bounds and the like. Default: `DEFAULTS`; in a process with a small heap a quarter
   * of it for a tenant's data, half of it for all tenants, a sixteenth for a tenant's event log.
   */
  readonly limits?: Partial<EngineLimits>;
}

/** For tests of the engine: observes each command. */
export interface ObservedStorageOptions extends MemoryStorageOptions {
  readonly onCommand?: CommandObserver;
}

/** Limits in bytes that keep the process alive at its heap limit: all state is in memory. */
export function withinHeap(): Partial<EngineLimits> {
  const heap = getHeapStatistics().heap_size_limit;
  return {
    maxStoredBytes: Math.min(DEFAULTS.maxStoredBytes, Math.floor(heap / 4)),
    maxStoredBytesInAll: Math.min(DEFAULTS.maxStoredBytesInAll, Math.floor(heap / 2)),
    maxEventBytes: Math.min(DEFAULTS.maxEventBytes, Math.floor(heap / 16)),
    maxCacheBytes: Math.min(DEFAULTS.maxCacheBytes, Math.floor(heap / 32)),
    maxCacheBytesInAll: Math.min(DEFAULTS.maxCacheBytesInAll, Math.floor(heap / 16)),
  };
}

/** Storage in memory: the engine without a log. Nothing survives the process. */
export class MemoryStorage extends EngineStorage {
  private readonly gate: EngineGate;

  constructor(options: MemoryStorageOptions = {}) {
    const { clock = systemClock, random = systemRandom, limits, onCommand }: ObservedStorageOptions = options;
    const all = { ...DEFAULTS, ...withinHeap(), ...limits };
    const gate = new EngineGate({ clock, random, limits: all, onCommand });
    super(gate);
    this.gate = gate;
  }

  /** Further calls are refused. */
  async close(): Promise<void> {
    this.gate.close();
  }
}

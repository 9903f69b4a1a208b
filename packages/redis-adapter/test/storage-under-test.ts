import { randomUUID } from 'node:crypto';
import type { Clock } from '@agent-orchestrator/core';
import type { StorageUnderTest } from '@agent-orchestrator/core/conformance';
import { RedisStorage, type RedisStorageOptions, type RedisTarget } from '../src/index.js';

/** A clock that stands still until the test moves it. */
class TestClock implements Clock {
  #now = Date.parse('2026-01-31T10:00:00.000Z');

  now(): number {
    return this.#now;
  }

  monotonic(): number {
    return this.#now;
  }

  after(): () => void {
    throw new Error('nothing in the adapter waits by this clock');
  }

  advance(ms: number): void {
    this.#now += ms;
  }
}

export interface OpenStorage extends StorageUnderTest {
  readonly storage: RedisStorage;
  readonly prefix: string;
  close(): Promise<void>;
}

/** A storage with its own keys, and a clock that the test moves. */
export function openStorage(target: RedisTarget, options: RedisStorageOptions = {}): OpenStorage {
  const clock = new TestClock();
  const prefix = `test-${randomUUID().slice(0, 8)}`;
  const storage = RedisStorage.connect(target, { clock, prefix, ...options });
  return {
    storage,
    prefix: options.prefix ?? prefix,
    now: () => clock.now(),
    async advance(ms) {
      clock.advance(ms);
      // Waits for published wakeups: they arrive over the same connection, in order.
      await storage.wakeupsSettled();
    },
    close: () => storage.close(),
  };
}

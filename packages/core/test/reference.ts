import { MemoryStorage } from '../src/index.js';
import { ManualClock } from './harness.js';
import type { OpenSubject } from './task-histories.js';

/** Nothing expires during a history. */
export const KEPT_FOR_EVER = { retentionMs: 1e12, deadLetterRetentionMs: 1e12, sessionIdleMs: 1e12 };

/** The reference in memory, to compare other storages with. */
export const openReference: OpenSubject = async () => {
  const clock = new ManualClock();
  const storage = new MemoryStorage({ clock, limits: KEPT_FOR_EVER });
  return {
    storage,
    now: () => clock.now(),
    advance: (ms) => clock.advance(ms),
    close: () => storage.close(),
  };
};

import { MemoryStorage } from '@agent-orchestrator/core';
import { ManualClock } from '../../core/test/harness.js';
import type { OpenSubject } from '../../core/test/task-histories.js';

/** Nothing expires during a history. */
export const KEPT_FOR_EVER = { retentionMs: 1e12, deadLetterRetentionMs: 1e12, sessionIdleMs: 1e12 };

/** The reference in memory, to compare Redis with. */
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

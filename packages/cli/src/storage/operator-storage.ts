import type { Storage } from '@agent-orchestrator/core';
import type { SystemEvent, ServerFinding } from '@agent-orchestrator/redis-adapter';

/** A storage shared by several processes, with access for operators. */
export interface OperatorStorage extends Storage {
  /** Checks version, eviction, persistence and clock. */
  checkServer(): Promise<readonly ServerFinding[]>;
  /** Recent system events, then new ones, until `signal` aborts. */
  systemEvents(options: { readonly signal: AbortSignal }): AsyncIterable<SystemEvent>;
}

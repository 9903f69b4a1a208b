import type { Storage } from '@agent-orchestrator/core';
import type { SystemEvent, ServerFinding } from '@agent-orchestrator/redis-adapter';

/** A storage that several processes share, which can be looked at from outside. */
export interface OperatorStorage extends Storage {
  /** Looks at version, eviction, persistence and clock. */
  checkServer(): Promise<readonly ServerFinding[]>;
  /** What is kept of what happened, then what happens, until `signal` fires. */
  systemEvents(options: { readonly signal: AbortSignal }): AsyncIterable<SystemEvent>;
}

import type { Storage } from '@agent-orchestrator/core';
import type { SystemEvent } from '@agent-orchestrator/redis-adapter';

/** A storage with what operators read beside the orchestrators that use it. */
export interface OperatorStorage extends Storage {
  /** Recent system events, then new ones, until `signal` aborts. */
  systemEvents(options: { readonly signal: AbortSignal }): AsyncIterable<SystemEvent>;
}

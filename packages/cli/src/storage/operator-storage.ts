import type { Storage } from '@agent-orchestrator/core';
import type { SystemEvents } from '@agent-orchestrator/core/storage';
import type { SystemEvent, ServerFinding } from '@agent-orchestrator/redis-adapter';

/** A storage shared by several processes, with access for operators. */
export interface OperatorStorage extends Storage {
  /** Checks version, eviction, persistence and clock. */
  checkServer(): Promise<readonly ServerFinding[]>;
  readonly systemEvents: SystemEvents & {
    /** Recent system events, then new ones, until `signal` aborts. */
    follow(options: { readonly signal: AbortSignal }): AsyncIterable<SystemEvent>;
  };
}

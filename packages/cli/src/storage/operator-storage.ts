import type { Storage } from '@agent-orchestrator/core';
import type { SystemEvent, SystemEvents } from '@agent-orchestrator/core/storage';

/** A storage with what operators read beside the orchestrators that use it. */
export interface OperatorStorage extends Storage {
  readonly systemEvents: SystemEvents & {
    /** Recent system events, then new ones, until `signal` aborts. */
    follow(options: { readonly signal: AbortSignal }): AsyncIterable<SystemEvent>;
  };
}

import type { JsonObject, JsonValue } from '@agent-orchestrator/core';
import type { EntryStore } from '@agent-orchestrator/core/storage';
import type { z } from 'zod';

/**
 * Access of a service to the others, always through the orchestrator: limits, usage and traces apply to the
 * call.
 */
export interface Gateway {
  /** Calls another service through the orchestrator and waits for its outcome. Rejects with an OrchestratorError. */
  call(request: {
    service: string;
    operation: string;
    input: JsonValue;
    tenant_id: string;
    session_id?: string;
    task_id?: string;
    signal?: AbortSignal;
  }): Promise<JsonValue>;
}

/** Data and functions of the call that an operation answers. */
export interface OperationContext {
  readonly tenant_id: string;
  readonly session_id?: string;
  readonly task_id: string;
  readonly call_id: string;
  readonly user_id?: string;
  /** Aborts when the call is cancelled or the service stops. */
  readonly signal: AbortSignal;
  /**
   * Reports progress: text, and details such as `{ percent: 40 }` or `{ delta: "text" }`. No effect for
   * `at_once`.
   */
  progress(status: string, details?: JsonObject): void;
  /** Calls another service for the same tenant, session and task. Rejects with an OrchestratorError. */
  call(service: string, operation: string, input: JsonValue): Promise<JsonValue>;
  /** Adds usage of this call: a number of tokens, and the model that counted them. */
  used(tokens: number, model: string): void;
}

/** One operation of a service. */
export interface OperationDefinition<Input extends z.ZodType = z.ZodType> {
  readonly input: Input;
  /**
   * `at_once`: the response is the result. `later`: the response is a job id, and a notification has the
   * result.
   */
  readonly answers: 'at_once' | 'later';
  run(input: z.output<Input>, context: OperationContext): Promise<JsonValue>;
}

/** State of a service that can be kept in a store. */
export interface DurableState {
  /**
   * Takes the state of a store, before the first call. From then on each change is stored before its call is answered.
   */
  restore(store: EntryStore, options: { readonly signal: AbortSignal }): Promise<void>;
}

/** A service: its name and operations. The same definition runs in this process or behind HTTP. */
export interface ServiceDefinition {
  readonly name: string;
  readonly operations: { readonly [operation: string]: OperationDefinition };
  /** In memory, unless it was restored from a store. Absent: it has none. */
  readonly state?: DurableState;
}

/** Gives `run` the type of its `input`. */
export function operation<Input extends z.ZodType>(
  definition: OperationDefinition<Input>,
): OperationDefinition {
  return definition;
}

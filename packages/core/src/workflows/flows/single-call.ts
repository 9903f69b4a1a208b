import type { JsonValue } from '../../protocol/json.js';
import type { WorkflowFunction } from '../context.js';

/** A workflow of a single call: the payload is its input, its result is the task's result. */
export function singleCall(service: string, operation: string): WorkflowFunction<JsonValue, JsonValue> {
  return (ctx, payload) => ctx.call<JsonValue>(service, operation, payload);
}

import type { JsonValue } from '../../protocol/json.js';
import type { WorkflowFunction } from '../context.js';

/** A task that is one call: the payload is the input, the call's result the task's. */
export function singleCall(service: string, operation: string): WorkflowFunction<JsonValue, JsonValue> {
  return (ctx, payload) => ctx.call<JsonValue>(service, operation, payload);
}

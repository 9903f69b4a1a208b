import { OrchestratorError } from '../../protocol/errors.js';
import type { JsonObject, JsonValue } from '../../protocol/json.js';
import type { WorkflowFunction } from '../context.js';
import { checkPlan } from '../plan-check.js';
import { runPlan } from '../plan-run.js';

/** Payload of a task of type `workflow`: a plan, or the name of a workflow of the Workflow Engine. */
export type WorkflowPayload =
  | { readonly plan: JsonObject }
  | { readonly workflow: string; readonly input?: JsonValue };

/** Runs a plan, or calls the Workflow Engine. */
export function workflowTask(services: {
  has(name: string): boolean;
}): WorkflowFunction<WorkflowPayload, JsonValue> {
  return async (ctx, payload) => {
    if ('plan' in payload) return runPlan(ctx, checkPlan(payload.plan, services));
    if (typeof payload.workflow !== 'string') {
      throw new OrchestratorError(
        'invalid_request',
        'payload: expected "plan" or the name of a "workflow", got neither',
      );
    }
    const { workflow, input = {} } = payload;
    return ctx.call<JsonValue>('workflow_engine', 'run_workflow', { workflow, input });
  };
}

import { OrchestratorError } from '../protocol/errors.js';
import type { JsonValue } from '../protocol/json.js';
import { isReference, type PlanStep } from '../protocol/plan.js';
import type { WorkflowContext } from './context.js';
import type { CheckedPlan } from './plan-check.js';

/** Runs a plan: independent steps run concurrently; an optional step that fails results in `null`. */
export async function runPlan(ctx: WorkflowContext, { plan, dependencies }: CheckedPlan): Promise<JsonValue> {
  const byId = new Map(plan.steps.map((step) => [step.id, step]));
  const started = new Map<string, Promise<JsonValue>>();
  const results: { [step: string]: JsonValue } = {};
  const scope: { [key: string]: JsonValue } = { input: plan.input, steps: results };

  const start = (step: PlanStep): Promise<JsonValue> => {
    const known = started.get(step.id);
    if (known) return known;
    const running = (async () => {
      const needed = [...(dependencies.get(step.id) ?? [])].map((id) => byId.get(id) as PlanStep);
      await Promise.all(needed.map(start));
      const result = await callStep(ctx, step, scope);
      results[step.id] = { result };
      return result;
    })();
    started.set(step.id, running);
    return running;
  };

  await Promise.all(plan.steps.map(start));
  if (plan.output !== undefined) return resolve(plan.output, scope);
  return Object.fromEntries(plan.steps.map(({ id }) => [id, (results[id] as { result: JsonValue }).result]));
}

async function callStep(
  ctx: WorkflowContext,
  step: PlanStep,
  scope: { [key: string]: JsonValue },
): Promise<JsonValue> {
  try {
    return await ctx.call<JsonValue>(step.service, step.operation, resolve(step.input, scope), {
      id: step.id,
      ...(step.timeout_ms !== undefined && { timeoutMs: step.timeout_ms }),
      ...(step.retry && { retry: { maxAttempts: step.retry.max_attempts } }),
    });
  } catch (error) {
    if (step.optional && !ctx.signal.aborted) return null;
    throw error;
  }
}

function resolve(value: JsonValue, scope: { [key: string]: JsonValue }): JsonValue {
  if (value === null || typeof value !== 'object') return value;
  if (Array.isArray(value)) return value.map((item) => resolve(item, scope));
  if (isReference(value)) return follow(value.$from, scope);
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, resolve(item, scope)]));
}

function follow(path: string, scope: { [key: string]: JsonValue }): JsonValue {
  let value: JsonValue = scope;
  let prefix = '';
  for (const key of path.split('.')) {
    const holder: JsonValue = value;
    const member: JsonValue | undefined =
      typeof holder === 'object' && holder !== null && Object.hasOwn(holder, key)
        ? (holder as { [key: string]: JsonValue })[key]
        : undefined;
    // A failed optional step is `null`, and so is any path into it.
    if (holder === null) return null;
    if (member === undefined) {
      throw new OrchestratorError(
        'workflow_error',
        `plan: "${path}" does not exist: no "${key}" in ${prefix || 'the plan'}`,
      );
    }
    value = member;
    prefix = prefix ? `${prefix}.${key}` : key;
  }
  return value;
}

import { OrchestratorError } from '../protocol/errors.js';
import type { JsonValue } from '../protocol/json.js';
import { isReference, type OrchestrationPlan, planSchema, type PlanStep } from '../protocol/plan.js';
import { validate } from '../protocol/validation.js';

/** Maximum of steps named in a cycle. */
const MAX_SHOWN = 10;
const STEP_RESULT = /^steps\.([a-z][a-z0-9_]*)\.result(?:\.|$)/;

/** A valid plan, with the dependencies of each step. */
export interface CheckedPlan {
  readonly plan: OrchestrationPlan;
  readonly dependencies: ReadonlyMap<string, ReadonlySet<string>>;
}

/**
 * Validates a plan.
 * @throws {OrchestratorError} naming the step: `invalid_request` for an invalid form, unknown steps and cycles,
 * `unknown_service` for unknown services.
 */
export function checkPlan(value: unknown, services: { has(name: string): boolean }): CheckedPlan {
  const plan = validate(planSchema, value, 'plan');
  const steps = new Map<string, PlanStep>();
  for (const step of plan.steps) {
    if (steps.has(step.id)) throw refused(step.id, 'a unique id', 'one that another step has');
    if (!services.has(step.service)) {
      throw new OrchestratorError('unknown_service', `plan, step "${step.id}": no service "${step.service}"`);
    }
    steps.set(step.id, step);
  }
  const dependencies = new Map<string, ReadonlySet<string>>();
  for (const step of plan.steps) {
    const needed = new Set([...step.depends_on, ...referredSteps(step.input, step.id)]);
    for (const other of needed)
      if (!steps.has(other)) throw refused(step.id, 'steps of this plan', `"${other}"`);
    dependencies.set(step.id, needed);
  }
  for (const other of referredSteps(plan.output ?? null, 'output')) {
    if (!steps.has(other)) throw refused('output', 'steps of this plan', `"${other}"`);
  }
  refuseCycles(dependencies);
  return { plan, dependencies };
}

function referredSteps(value: JsonValue, step: string): ReadonlySet<string> {
  const found = new Set<string>();
  collectReferred(value, step, found);
  return found;
}

function collectReferred(value: JsonValue, step: string, found: Set<string>): void {
  if (value === null || typeof value !== 'object') return;
  if (Array.isArray(value)) {
    for (const item of value) if (typeof item === 'object') collectReferred(item, step, found);
    return;
  }
  if (!isReference(value)) {
    for (const key of Object.keys(value)) collectReferred(value[key] as JsonValue, step, found);
    return;
  }
  const path = value.$from;
  const needed = STEP_RESULT.exec(path)?.[1];
  if (needed !== undefined) found.add(needed);
  else if (path !== 'input' && !path.startsWith('input.'))
    throw refused(step, 'a path "input…" or "steps.<id>.result…"', `"${path}"`);
}

/** Depth-first search with an explicit path: visits each dependency once. */
function refuseCycles(dependencies: ReadonlyMap<string, ReadonlySet<string>>): void {
  const done = new Set<string>();
  const onPath = new Set<string>();
  /** Steps of the current path, each with its unvisited dependencies. */
  const path: { step: string; left: Iterator<string> }[] = [];
  const enter = (step: string): void => {
    if (done.has(step)) return;
    onPath.add(step);
    path.push({ step, left: (dependencies.get(step) ?? new Set<string>()).values() });
  };
  for (const first of dependencies.keys()) {
    enter(first);
    for (let last = path.at(-1); last !== undefined; last = path.at(-1)) {
      const needed = last.left.next();
      if (needed.done === true) {
        done.add(last.step);
        onPath.delete(last.step);
        path.pop();
      } else if (onPath.has(needed.value)) {
        const got = cycleText([...onPath], needed.value);
        throw refused(needed.value, 'steps without a dependency cycle', got);
      } else enter(needed.value);
    }
  }
}

function cycleText(path: readonly string[], step: string): string {
  const cycle = [...path.slice(path.indexOf(step)), step];
  const shown = cycle.length <= MAX_SHOWN ? cycle : [...cycle.slice(0, MAX_SHOWN - 1), '…', step];
  return `the cycle ${shown.join(' -> ')}`;
}

function refused(step: string, expected: string, got: string): OrchestratorError {
  return new OrchestratorError('invalid_request', `plan, step "${step}": expected ${expected}, got ${got}`, {
    issues: [{ path: `steps.${step}`, expected, got }],
  });
}

import { OrchestratorError } from '../protocol/errors.js';
import type { JsonValue } from '../protocol/json.js';
import { isReference, type OrchestrationPlan, planSchema, type PlanStep } from '../protocol/plan.js';
import { validate } from '../protocol/validation.js';

const STEP_RESULT = /^steps\.([a-z][a-z0-9_]*)\.result(?:\.|$)/;

/** A plan that can be run: every step with all the steps that it waits for. */
export interface CheckedPlan {
  readonly plan: OrchestrationPlan;
  readonly dependencies: ReadonlyMap<string, ReadonlySet<string>>;
}

/**
 * Checks a plan before it is accepted.
 * @throws {OrchestratorError} that names the step: `invalid_request` for its form, steps that do not exist and
 * cycles, `unknown_service` for services that do not.
 */
export function checkPlan(value: unknown, services: { has(name: string): boolean }): CheckedPlan {
  const plan = validate(planSchema, value, 'plan');
  const steps = new Map<string, PlanStep>();
  for (const step of plan.steps) {
    if (steps.has(step.id)) throw refused(step.id, 'an id of its own', 'one that another step has');
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

function referredSteps(value: JsonValue, step: string): string[] {
  if (value === null || typeof value !== 'object') return [];
  if (Array.isArray(value)) return value.flatMap((item) => referredSteps(item, step));
  if (!isReference(value)) return Object.values(value).flatMap((item) => referredSteps(item, step));
  const path = value.$from;
  const found = STEP_RESULT.exec(path)?.[1];
  if (found !== undefined) return [found];
  if (path === 'input' || path.startsWith('input.')) return [];
  throw refused(step, 'a path "input…" or "steps.<id>.result…"', `"${path}"`);
}

function refuseCycles(dependencies: ReadonlyMap<string, ReadonlySet<string>>): void {
  const done = new Set<string>();
  const visit = (step: string, way: readonly string[]): void => {
    if (done.has(step)) return;
    if (way.includes(step)) {
      const cycle = [...way.slice(way.indexOf(step)), step].join(' -> ');
      throw refused(step, 'steps that do not wait for each other', `the cycle ${cycle}`);
    }
    for (const needed of dependencies.get(step) ?? []) visit(needed, [...way, step]);
    done.add(step);
  };
  for (const step of dependencies.keys()) visit(step, []);
}

function refused(step: string, expected: string, got: string): OrchestratorError {
  return new OrchestratorError('invalid_request', `plan, step "${step}": expected ${expected}, got ${got}`, {
    issues: [{ path: `steps.${step}`, expected, got }],
  });
}

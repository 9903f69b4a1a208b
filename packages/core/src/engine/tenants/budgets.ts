import { dayOf } from '../../storage/usage-ledger.js';
import { nextPeriod, periodStart } from '../../storage/budget-periods.js';
import { isFinalState } from '../../protocol/task-state.js';
import type { EngineState } from '../engine-state.js';
import type { TaskEntry } from '../tasks/task-entry.js';
import type { TenantState } from './tenant-state.js';

/** Nested child tasks that are followed to their root. */
const MAX_DEPTH = 16;

/**
 * Start of the next period of the tenant's budgets if one of them has not enough left: `tokens`, or anything at all. Left is the
 * limit less what was used since the start of the period, and less what live tasks have reserved.
 */
export function exhaustedUntil(
  state: EngineState,
  tenant: TenantState,
  tokens: number | undefined,
): number | undefined {
  const now = state.now();
  let until: number | undefined;
  for (const budget of tenant.settings.budgets ?? []) {
    const used = state.usage.total(tenant.tenantId, dayOf(periodStart(budget.period, now)), dayOf(now));
    const left = (budget.tokens ?? Number.POSITIVE_INFINITY) - used.tokens - tenant.reservedTokens;
    const leftCost = (budget.cost ?? Number.POSITIVE_INFINITY) - (used.cost ?? 0);
    if (left > 0 && left >= (tokens ?? 0) && leftCost > 0) continue;
    until = Math.max(until ?? 0, nextPeriod(budget.period, now));
  }
  return until;
}

/** A new task reserves its budget. */
export function reserveBudget(tenant: TenantState, entry: TaskEntry): void {
  setReserved(tenant, entry, entry.spec.budgetTokens ?? 0);
}

/** An ended task returns what is left of it. */
export function returnBudget(tenant: TenantState, entry: TaskEntry): void {
  setReserved(tenant, entry, 0);
}

/** Used tokens are drawn from the budgets of the task and of those that it is a child of. */
export function drawBudget(tenant: TenantState, entry: TaskEntry, tokens: number): void {
  for (const task of withParents(tenant, entry)) {
    const { budgetTokens } = task.spec;
    if (budgetTokens === undefined) continue;
    task.drawnTokens += tokens;
    if (!isFinalState(task.state)) setReserved(tenant, task, Math.max(0, budgetTokens - task.drawnTokens));
  }
}

/** Whether the budget of the task, or of one that it is a child of, is used up. */
export function isBudgetSpent(tenant: TenantState, entry: TaskEntry): boolean {
  for (const { spec, drawnTokens } of withParents(tenant, entry))
    if (spec.budgetTokens !== undefined && drawnTokens >= spec.budgetTokens) return true;
  return false;
}

/** The task that the client has submitted. */
export function rootOf(tenant: TenantState, entry: TaskEntry): TaskEntry {
  let root = entry;
  for (const task of withParents(tenant, entry)) root = task;
  return root;
}

function* withParents(tenant: TenantState, entry: TaskEntry): Generator<TaskEntry> {
  let task: TaskEntry | undefined = entry;
  for (let depth = 0; task && depth < MAX_DEPTH; depth += 1) {
    yield task;
    const { parent_task_id: parent }: TaskEntry['spec'] = task.spec;
    task = parent === undefined ? undefined : tenant.tasks.get(parent);
  }
}

function setReserved(tenant: TenantState, entry: TaskEntry, tokens: number): void {
  tenant.reservedTokens += tokens - entry.reservedTokens;
  entry.reservedTokens = tokens;
}

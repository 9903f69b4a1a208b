import type { Usage } from '../../protocol/service-call.js';
import {
  type AddUsageParams,
  needsDetails,
  type SumUsageParams,
  type UsageOrigin,
  type UsageSum,
  USAGE_SUMMARY,
  UsageSums,
} from '../../storage/usage-ledger.js';
import type { EngineState } from '../engine-state.js';
import type { CallEntry, TaskEntry } from '../tasks/task-entry.js';
import { chargeTokens } from './call-rates.js';
import { drawBudget, rootOf } from './budgets.js';
import type { TenantState } from './tenant-state.js';

/** Records the usage of a call, once. */
export function addCallUsage(
  state: EngineState,
  tenant: TenantState,
  { entry, call }: { readonly entry: TaskEntry; readonly call: CallEntry },
  usage: Usage,
): void {
  if (call.counted) return;
  call.counted = true;
  if (state.usage.knows(tenant.tenantId, callKey(call.callId))) return;
  countTokens(tenant, entry, usage.tokens);
  chargeTokens(state, tenant, call, usage);
  const operation = `${call.service}.${call.operation}`;
  const { tokens, saved_tokens = 0, model } = usage;
  const { prompt_tokens, completion_tokens, cached_tokens, cost } = usage;
  const addition = {
    model,
    operation,
    tokens,
    requests: 1,
    saved_tokens,
    ...positive({ prompt_tokens, completion_tokens, cached_tokens, cost }),
  };
  state.usage.add(tenant.tenantId, state.now(), addition, originOf(tenant, entry));
}

/** Of a task, drawn from its budget and those of its parents. */
function countTokens(tenant: TenantState, entry: TaskEntry, tokens: number): void {
  entry.tokens += tokens;
  drawBudget(tenant, entry, tokens);
}

/** Without zeros and what is absent. */
function positive<K extends string>(
  amounts: Readonly<Record<K, number | undefined>>,
): Partial<Record<K, number>> {
  const kept: Partial<Record<K, number>> = {};
  for (const field in amounts) if (amounts[field]) kept[field] = amounts[field];
  return kept;
}

function originOf(tenant: TenantState, entry: TaskEntry): UsageOrigin {
  const root = rootOf(tenant, entry);
  const { session_id = '', agent_id = '', metadata } = root.spec;
  return { session: session_id, task: root.spec.task_id, agent: agent_id, user: metadata.user_id ?? '' };
}

/** Id of the usage of a call that was added before the call was known here. */
function callKey(callId: string): string {
  return `call ${callId}`;
}

/** Usage as added and read by hosts. */
export class UsageAccounts {
  constructor(private readonly state: EngineState) {}

  add(params: AddUsageParams): void {
    const { tenantId, id, callId, taskId } = params;
    const { state } = this;
    const now = state.now();
    const tenant = state.lookUp(tenantId);
    const known = callId === undefined ? undefined : tenant.calls.get(callId);
    if (known) {
      addCallUsage(state, tenant, known, usageOf(params));
      return;
    }
    if (!state.usage.isNew(tenantId, callId === undefined ? id : callKey(callId), now)) return;
    const { saved_tokens = 0, ...usage } = usageOf(params);
    const entry = taskId === undefined ? undefined : tenant.tasks.get(taskId);
    if (entry) countTokens(tenant, entry, usage.tokens);
    const of = entry && originOf(tenant, entry);
    const origin = {
      session: params.sessionId ?? of?.session ?? '',
      task: of?.task ?? taskId ?? '',
      agent: params.agentId ?? of?.agent ?? '',
      user: params.userId ?? of?.user ?? '',
    };
    const addition = { ...usage, operation: params.operation, requests: 1, saved_tokens };
    state.usage.add(tenantId, now, addition, origin);
  }

  sum({ tenantId, from, to, by = USAGE_SUMMARY }: SumUsageParams): readonly UsageSum[] {
    const { usage, limits } = this.state;
    const now = this.state.now();
    const sums = new UsageSums(by, limits.usageRowsAtOnce);
    const rows = needsDetails(by)
      ? usage.detailRows(tenantId, now, from, to)
      : usage.rows(tenantId, now, from, to);
    for (const row of rows) sums.add(row);
    return sums.all;
  }
}

function usageOf({
  model,
  tokens,
  savedTokens,
  promptTokens,
  completionTokens,
  cachedTokens,
  cost,
}: AddUsageParams): Usage {
  return {
    model,
    tokens,
    ...positive({
      saved_tokens: savedTokens,
      prompt_tokens: promptTokens,
      completion_tokens: completionTokens,
      cached_tokens: cachedTokens,
      cost,
    }),
  };
}

import type { Usage } from '../protocol/service-call.js';
import type { UsageLedger, UsageRow } from '../storage/usage-ledger.js';
import type { MemoryState } from './memory-state.js';
import type { CallEntry } from './task-entry.js';
import type { TenantState } from './tenant-state.js';

interface Addition {
  readonly id: string;
  readonly model: string;
  readonly operation: string;
  readonly tokens: number;
  readonly savedTokens: number;
}

function add(tenant: TenantState, now: number, addition: Addition): void {
  if (tenant.usageIds.has(addition.id)) return;
  tenant.usageIds.add(addition.id);
  const day = new Date(now).toISOString().slice(0, 10);
  const { model, operation } = addition;
  const key = `${day}\n${model}\n${operation}`;
  const row = tenant.usage.get(key) ?? { day, model, operation, tokens: 0, requests: 0, saved_tokens: 0 };
  tenant.usage.set(key, {
    ...row,
    tokens: row.tokens + addition.tokens,
    requests: row.requests + 1,
    saved_tokens: row.saved_tokens + addition.savedTokens,
  });
}

/** What a call consumed, once however often it is reported. */
export function addUsage(tenant: TenantState, now: number, call: CallEntry, usage: Usage): void {
  add(tenant, now, {
    id: call.callId,
    model: usage.model,
    operation: `${call.service}.${call.operation}`,
    tokens: usage.tokens,
    savedTokens: 0,
  });
}

export class MemoryUsage implements UsageLedger {
  constructor(private readonly state: MemoryState) {}

  async add({ tenantId, ...addition }: Parameters<UsageLedger['add']>[0]): Promise<void> {
    add(this.state.tenant(tenantId), this.state.now(), addition);
  }

  async sum({ tenantId, from, to }: Parameters<UsageLedger['sum']>[0]): Promise<readonly UsageRow[]> {
    const rows = [...this.state.lookUp(tenantId).usage.values()];
    return rows.filter(({ day }) => day >= from && day <= to).map((row) => ({ ...row }));
  }
}

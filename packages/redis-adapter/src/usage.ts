import type { UsageLedger, UsageRow } from '@agent-orchestrator/core';
import type { RedisState } from './redis-state.js';
import { answerOf } from './storage-errors.js';

const DAY_MS = 24 * 60 * 60_000;

type Counter = 'tokens' | 'requests' | 'saved_tokens';
const COUNTERS: Readonly<Record<string, Counter>> = {
  tokens: 'tokens',
  requests: 'requests',
  saved: 'saved_tokens',
};

export class RedisUsage implements UsageLedger {
  constructor(private readonly state: RedisState) {}

  async add({
    tenantId,
    id,
    model,
    operation,
    tokens,
    savedTokens,
  }: Parameters<UsageLedger['add']>[0]): Promise<void> {
    const request = JSON.stringify({ model, operation, tokens, saved: savedTokens });
    await this.state.change(tenantId, 'addUsage', request, id);
  }

  async sum({ tenantId, from, to }: Parameters<UsageLedger['sum']>[0]): Promise<readonly UsageRow[]> {
    this.state.checkOpen();
    const { client, keys } = this.state.parts;
    await this.state.parts.database.check();
    const fields = await answerOf(client.hgetall(keys.usage(tenantId)));
    const rows = new Map<string, { -readonly [K in keyof UsageRow]: UsageRow[K] }>();
    for (const [field, value] of Object.entries(fields)) {
      const [days = '', model = '', operation = '', counter = ''] = field.split('\n');
      const day = new Date(Number(days) * DAY_MS).toISOString().slice(0, 10);
      if (day < from || day > to) continue;
      const key = `${days}\n${model}\n${operation}`;
      const row = rows.get(key) ?? { day, model, operation, tokens: 0, requests: 0, saved_tokens: 0 };
      row[COUNTERS[counter] ?? 'requests'] = Number(value);
      rows.set(key, row);
    }
    return [...rows.values()];
  }
}

import { type UsageRow } from '@agent-orchestrator/core/storage';
import {
  dayOf,
  tooManyRows,
  type UsageLedger,
  type AddUsageParams,
  type SumUsageParams,
} from '@agent-orchestrator/core/storage';
import type { RedisState } from '../scripts/tenant-steps.js';
import { answerOf } from '../server/storage-errors.js';

const DAY_MS = 24 * 60 * 60_000;
/** Number of days read at once. */
const DAYS_PER_READ = 16;

type Counter = 'tokens' | 'requests' | 'saved_tokens';
const COUNTERS: Readonly<Record<string, Counter>> = {
  tokens: 'tokens',
  requests: 'requests',
  saved: 'saved_tokens',
};

export class RedisUsage implements UsageLedger {
  constructor(private readonly state: RedisState) {}

  async add({ tenantId, id, model, operation, tokens, savedTokens }: AddUsageParams): Promise<void> {
    const request = JSON.stringify({ model, operation, tokens, saved: savedTokens });
    await this.state.run(tenantId, 'addUsage', request, id);
  }

  async sum({ tenantId, from, to }: SumUsageParams): Promise<readonly UsageRow[]> {
    this.state.checkOpen();
    const { database, limits, clock, timers } = this.state.parts;
    await database.check();
    const today = Math.floor((clock ?? timers).now() / DAY_MS);
    // One more day on either side: the server's clock may differ from this process's.
    const oldest = today - Math.ceil(limits.usageRetentionMs / DAY_MS) - 1;
    const first = Math.max(dayNumber(from), oldest);
    const last = Math.min(dayNumber(to), today + 1);
    const found: UsageRow[] = [];
    for (let day = first; day <= last; day += DAYS_PER_READ) {
      const days = Array.from({ length: Math.min(DAYS_PER_READ, last + 1 - day) }, (_, n) => day + n);
      for (const rows of await Promise.all(days.map((each) => this.#rowsOf(tenantId, each)))) {
        if (found.length + rows.length > limits.usageRowsAtOnce) throw tooManyRows(limits.usageRowsAtOnce);
        found.push(...rows);
      }
    }
    return found;
  }

  async #rowsOf(tenantId: string, days: number): Promise<UsageRow[]> {
    const { client, keys } = this.state.parts;
    const fields = await answerOf(client.hgetall(keys.usage(tenantId, days)));
    const day = dayOf(days * DAY_MS);
    const rows = new Map<string, { -readonly [K in keyof UsageRow]: UsageRow[K] }>();
    for (const [field, value] of Object.entries(fields)) {
      const [model = '', operation = '', counter = ''] = field.split('\n');
      const key = `${model}\n${operation}`;
      const row = rows.get(key) ?? { day, model, operation, tokens: 0, requests: 0, saved_tokens: 0 };
      row[COUNTERS[counter] ?? 'requests'] = Number(value);
      rows.set(key, row);
    }
    return [...rows.values()];
  }
}

/** Days since 1970 of a day `YYYY-MM-DD`. */
function dayNumber(day: string): number {
  return Math.floor(Date.parse(day) / DAY_MS);
}

import {
  dayOf,
  needsDetails,
  type UsageLedger,
  type AddUsageParams,
  type SumUsageParams,
  USAGE_SUMMARY,
  type UsageSum,
  UsageSums,
} from '@agent-orchestrator/core/storage';
import type { RedisState } from '../scripts/tenant-steps.js';
import { answerOf } from '../server/storage-errors.js';
import { readDetails, readUsage } from './stored-usage.js';

const DAY_MS = 24 * 60 * 60_000;
/** Number of days read at once. */
const DAYS_PER_READ = 16;

export class RedisUsage implements UsageLedger {
  constructor(private readonly state: RedisState) {}

  async add(params: AddUsageParams): Promise<void> {
    const { tenantId, id, callId, taskId, sessionId, agentId, userId, operation } = params;
    const request = {
      operation,
      usage: {
        model: params.model,
        tokens: params.tokens,
        saved: params.savedTokens,
        prompt: params.promptTokens,
        completion: params.completionTokens,
        cached: params.cachedTokens,
        cost: params.cost,
      },
      origin: { session: sessionId, agent: agentId, user: userId },
      call: callId,
      task: taskId,
    };
    await this.state.change(tenantId, 'addUsage', JSON.stringify(request), id);
  }

  async sum({ tenantId, from, to, by = USAGE_SUMMARY }: SumUsageParams): Promise<readonly UsageSum[]> {
    this.state.checkOpen();
    const { database, limits, clock, timers } = this.state.parts;
    await database.check();
    const isDetailed = needsDetails(by);
    const retentionMs = isDetailed ? limits.usageDetailRetentionMs : limits.usageRetentionMs;
    const today = Math.floor((clock ?? timers).now() / DAY_MS);
    // One more day on either side: the server's clock may differ from this process's.
    const oldest = today - Math.ceil(retentionMs / DAY_MS) - 1;
    const first = Math.max(dayNumber(from), oldest);
    const last = Math.min(dayNumber(to), today + 1);
    const sums = new UsageSums(by, limits.usageRowsAtOnce);
    for (let day = first; day <= last; day += DAYS_PER_READ) {
      const days = Array.from({ length: Math.min(DAYS_PER_READ, last + 1 - day) }, (_, n) => day + n);
      const read = days.map((each) => this.#rowsOf(tenantId, each, isDetailed));
      for (const rows of await Promise.all(read)) for (const row of rows) sums.add(row);
    }
    return sums.all;
  }

  async #rowsOf(tenantId: string, days: number, isDetailed: boolean) {
    const { client, keys } = this.state.parts;
    const day = dayOf(days * DAY_MS);
    const key = isDetailed ? keys.usageDetails(tenantId, days) : keys.usage(tenantId, days);
    const fields = await answerOf(client.hgetall(key));
    return (isDetailed ? readDetails(fields) : readUsage(fields)).map((row) => ({ day, ...row }));
  }
}

/** Days since 1970 of a day `YYYY-MM-DD`. */
function dayNumber(day: string): number {
  return Math.floor(Date.parse(day) / DAY_MS);
}

import { OrchestratorError } from '../protocol/errors.js';
import type { UsageDimension } from '../protocol/usage-dimensions.js';

/** The dimensions that the rows of a day are kept by for `usageRetentionMs`. */
export const USAGE_SUMMARY: readonly UsageDimension[] = ['day', 'model', 'operation'];

/** Sums of usage. An optional field is absent if it is zero. */
export interface UsageAmounts {
  readonly tokens: number;
  readonly requests: number;
  readonly saved_tokens: number;
  readonly prompt_tokens?: number;
  readonly completion_tokens?: number;
  readonly cached_tokens?: number;
  /** Money, by the price table of the host. */
  readonly cost?: number;
}

/** Usage of a day, by model and operation. */
export interface UsageRow extends UsageAmounts {
  /** `YYYY-MM-DD`, UTC. */
  readonly day: string;
  readonly model: string;
  readonly operation: string;
}

/** Whom usage is of. A text of `''` is none. */
export interface UsageOrigin {
  readonly session: string;
  readonly task: string;
  readonly agent: string;
  readonly user: string;
}

/** Usage of a day with its origin. */
export interface UsageDetail extends UsageRow, UsageOrigin {}

/** Usage summed by some dimensions: those, and the amounts. */
export type UsageSum = { readonly [D in UsageDimension]?: string } & UsageAmounts;

/** Params of `UsageLedger.add`. */
export interface AddUsageParams {
  readonly tenantId: string;
  readonly id: string;
  readonly model: string;
  readonly operation: string;
  readonly tokens: number;
  readonly savedTokens: number;
  readonly promptTokens?: number;
  readonly completionTokens?: number;
  readonly cachedTokens?: number;
  readonly cost?: number;
  /** A call of a task: its usage counts once, whether added here or reported by the service. */
  readonly callId?: string;
  /** The task that it is of, if no call is named: drawn from its budget. */
  readonly taskId?: string;
  readonly sessionId?: string;
  readonly agentId?: string;
  readonly userId?: string;
}

/** Params of `UsageLedger.sum`. */
export interface SumUsageParams {
  readonly tenantId: string;
  readonly from: string;
  readonly to: string;
  /** Each once. Default: day, model and operation. */
  readonly by?: readonly UsageDimension[];
}

/**
 * Tokens and money per tenant and day. By model and operation they are kept for `usageRetentionMs`; a day has at most
 * `maxUsageRows` such rows, and further models and operations are summed under `OTHER`. By session, task, agent and user they
 * are kept for `usageDetailRetentionMs`; beyond `maxUsageDetails` rows of a day each of these is `OTHER`.
 */
export interface UsageLedger {
  /** Idempotent by `id`, and by `callId`, for `idempotencyMs`. */
  add(params: AddUsageParams): Promise<void>;
  /**
   * Sums of the days `from` to `to`, inclusive.
   * @throws {OrchestratorError} `invalid_request` above `usageRowsAtOnce` rows: request fewer days.
   */
  sum(params: SumUsageParams): Promise<readonly UsageSum[]>;
}

/** Model, operation, session, task, agent or user of the usage that has no row of its own. */
export const OTHER = 'other';
/** A day's row for the usage beyond `maxUsageRows`. */
export const OTHER_USAGE = { model: OTHER, operation: OTHER } as const;
/** Its origin beyond `maxUsageDetails`. */
export const OTHER_ORIGIN: UsageOrigin = { session: OTHER, task: OTHER, agent: OTHER, user: OTHER };

/** Whether only rows with origins can tell. */
export function needsDetails(by: readonly UsageDimension[]): boolean {
  return by.some((dimension) => !USAGE_SUMMARY.includes(dimension));
}

/** The UTC day of `at` (epoch ms), as `YYYY-MM-DD`. */
export function dayOf(at: number): string {
  return new Date(at).toISOString().slice(0, 10);
}

const OPTIONAL = ['prompt_tokens', 'completion_tokens', 'cached_tokens', 'cost'] as const;

/** The sum of two rows, with the names of the first. */
export function addAmounts<R extends UsageAmounts>(row: R, more: UsageAmounts): R {
  const sum: { -readonly [K in keyof UsageAmounts]: UsageAmounts[K] } = {
    ...row,
    tokens: row.tokens + more.tokens,
    requests: row.requests + more.requests,
    saved_tokens: row.saved_tokens + more.saved_tokens,
  };
  for (const field of OPTIONAL) {
    const total = (row[field] ?? 0) + (more[field] ?? 0);
    if (total > 0) sum[field] = total;
  }
  return sum as R;
}

/** Sums of rows, with a limit. */
export class UsageSums {
  readonly #sums = new Map<string, UsageSum>();

  constructor(
    private readonly by: readonly UsageDimension[],
    private readonly max: number,
  ) {}

  /** @throws {OrchestratorError} `invalid_request` above the limit. */
  add(row: UsageRow | UsageDetail): void {
    const names: { [D in UsageDimension]?: string } = {};
    let key = '';
    for (const dimension of this.by) {
      const name = (row as Partial<UsageDetail>)[dimension] ?? '';
      names[dimension] = name;
      key += `${name}\n`;
    }
    const known = this.#sums.get(key);
    if (!known && this.#sums.size >= this.max) throw tooManyRows(this.max);
    this.#sums.set(key, addAmounts(known ?? { ...names, tokens: 0, requests: 0, saved_tokens: 0 }, row));
  }

  get all(): readonly UsageSum[] {
    return [...this.#sums.values()];
  }
}

/** The refusal of a usage query with too many rows. */
function tooManyRows(max: number): OrchestratorError {
  const message = `usage: expected at most ${max} rows, got more: request fewer days, or group by less`;
  return new OrchestratorError('invalid_request', message);
}

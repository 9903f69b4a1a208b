import { OrchestratorError } from '../protocol/errors.js';

/** Tokens of a day, by model and operation. */
export interface UsageRow {
  /** `YYYY-MM-DD`, UTC. */
  readonly day: string;
  readonly model: string;
  readonly operation: string;
  readonly tokens: number;
  readonly requests: number;
  readonly saved_tokens: number;
}

/** Params of `UsageLedger.add`. */
export interface AddUsageParams {
  readonly tenantId: string;
  readonly id: string;
  readonly model: string;
  readonly operation: string;
  readonly tokens: number;
  readonly savedTokens: number;
}

/** Params of `UsageLedger.sum`. */
export interface SumUsageParams {
  readonly tenantId: string;
  readonly from: string;
  readonly to: string;
}

/**
 * Tokens per tenant, day, model and operation, kept for `usageRetentionMs`. A day has at most `maxUsageRows` rows; the usage
 * of further models and operations is summed under `OTHER_USAGE`.
 */
export interface UsageLedger {
  /** Idempotent by `id`, for `idempotencyMs`. */
  add(params: AddUsageParams): Promise<void>;
  /**
   * Rows of the days `from` to `to`, inclusive.
   * @throws {OrchestratorError} `invalid_request` above `usageRowsAtOnce` rows: request fewer days.
   */
  sum(params: SumUsageParams): Promise<readonly UsageRow[]>;
}

/** A day's row for the usage beyond `maxUsageRows`. */
export const OTHER_USAGE = { model: 'other', operation: 'other' } as const;

/** The UTC day of `at` (epoch ms), as `YYYY-MM-DD`. */
export function dayOf(at: number): string {
  return new Date(at).toISOString().slice(0, 10);
}

/** The refusal of a usage query with too many rows. */
export function tooManyRows(max: number): OrchestratorError {
  const message = `usage: expected at most ${max} rows, got more: request fewer days`;
  return new OrchestratorError('invalid_request', message);
}

import { OrchestratorError } from '../protocol/errors.js';

export interface UsageRow {
  /** `YYYY-MM-DD`, UTC. */
  readonly day: string;
  readonly model: string;
  readonly operation: string;
  readonly tokens: number;
  readonly requests: number;
  readonly saved_tokens: number;
}

/**
 * Tokens per tenant, day, model and operation, kept for `usageRetentionMs`. A day has at most `maxUsageRows` rows: what
 * more models and operations consume is summed up under `OTHER_USAGE`.
 */
export interface UsageLedger {
  /** Adds once per `id`, which is remembered for `idempotencyMs`. */
  add(params: {
    readonly tenantId: string;
    readonly id: string;
    readonly model: string;
    readonly operation: string;
    readonly tokens: number;
    readonly savedTokens: number;
  }): Promise<void>;
  /**
   * Rows of the days `from` to `to`, both included.
   * @throws {OrchestratorError} `invalid_request` for more than `usageRowsAtOnce`: ask for fewer days.
   */
  sum(params: {
    readonly tenantId: string;
    readonly from: string;
    readonly to: string;
  }): Promise<readonly UsageRow[]>;
}

/** The row of a day for what has no row of its own. */
export const OTHER_USAGE = { model: 'other', operation: 'other' } as const;

/** The UTC day of a time in milliseconds since 1970, as `YYYY-MM-DD`. */
export function dayOf(at: number): string {
  return new Date(at).toISOString().slice(0, 10);
}

export function tooManyRows(most: number): OrchestratorError {
  const message = `usage: expected at most ${most} rows, got more: ask for fewer days`;
  return new OrchestratorError('invalid_request', message);
}

export interface UsageRow {
  /** `YYYY-MM-DD`, UTC. */
  readonly day: string;
  readonly model: string;
  readonly operation: string;
  readonly tokens: number;
  readonly requests: number;
  readonly saved_tokens: number;
}

/** Tokens per tenant, day, model and operation. */
export interface UsageLedger {
  /** Adds once per `id`. */
  add(params: {
    readonly tenantId: string;
    readonly id: string;
    readonly model: string;
    readonly operation: string;
    readonly tokens: number;
    readonly savedTokens: number;
  }): Promise<void>;
  /** Rows of the days `from` to `to`, both included. */
  sum(params: {
    readonly tenantId: string;
    readonly from: string;
    readonly to: string;
  }): Promise<readonly UsageRow[]>;
}

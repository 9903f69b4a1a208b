import { z } from 'zod';
import { idSchema, labelSchema, nameSchema, uuidSchema } from '../protocol/ids.js';
import { listSchema } from '../protocol/list.js';
import type { Usage } from '../protocol/usage.js';
import { USAGE_DIMENSIONS, type UsageDimension } from '../protocol/usage-dimensions.js';
import { validate } from '../protocol/validation.js';
import type { Clock } from '../runtime/clock.js';
import type { Hooks } from '../runtime/hooks.js';
import type { Random } from '../runtime/random.js';
import { type AddUsageParams, dayOf, type UsageLedger, type UsageSum } from '../storage/usage-ledger.js';
import type { Prices } from './price-table.js';

const TOKEN_TYPES = ['total', 'prompt', 'completion', 'embedding'] as const;
/** What was counted: `embedding` tokens are those of a prompt. */
export type TokenType = (typeof TOKEN_TYPES)[number];

/** Usage that no answer of a service reports, such as that of a service which calls a model provider by itself. */
export interface TokenUsage {
  readonly tenant: string;
  /** From 0 to 2^53 - 1; fractions are kept. */
  readonly tokens: number;
  /** At most 200 characters. Default `unknown`. */
  readonly model?: string | undefined;
  /** Default `total`. */
  readonly tokenType?: TokenType | undefined;
  /** What it was used for, such as `embed`. */
  readonly operation: string;
  /** Of the tokens: those that the provider had cached. */
  readonly cachedTokens?: number | undefined;
  /** Whom it is of. A task has its session, agent and user already, and its budget is drawn on. Other fields are ignored. */
  readonly metadata?:
    | {
        readonly service?: string | undefined;
        readonly task_id?: string | undefined;
        readonly session_id?: string | undefined;
        readonly agent_id?: string | undefined;
        readonly user_id?: string | undefined;
      }
    | undefined;
  /**
   * The call that it is of: its usage counts once, whether tracked here or reported by the service, and however often, for a day,
   * and as long as the call's task is kept. Without it, each invocation counts.
   */
  readonly callId?: string | undefined;
}

/** Which usage is summed, and how. */
export interface UsageQuery {
  readonly tenant: string;
  /** First day, `YYYY-MM-DD`, UTC. Default: 30 days with the last one. */
  readonly from?: string | undefined;
  /** Last day. Default: today. */
  readonly to?: string | undefined;
  /** Default: day, model and operation. Session, task, agent and user are kept for 35 days, the others for 400. */
  readonly by?: readonly UsageDimension[] | undefined;
}

const DAY_MS = 24 * 60 * 60_000;
const DEFAULT_DAYS = 30;
const amountSchema = z.number().min(0).max(Number.MAX_SAFE_INTEGER);

const usageSchema = z.object({
  tenant: idSchema,
  tokens: amountSchema,
  model: labelSchema(200).default('unknown'),
  tokenType: z.enum(TOKEN_TYPES).default('total'),
  operation: nameSchema,
  cachedTokens: amountSchema.optional(),
  metadata: z
    .object({
      service: idSchema.optional(),
      task_id: uuidSchema.optional(),
      session_id: idSchema.optional(),
      agent_id: idSchema.optional(),
      user_id: labelSchema(200).optional(),
    })
    .default({}),
  callId: uuidSchema.optional(),
});

const querySchema = z.object({
  tenant: idSchema,
  from: z.iso.date().optional(),
  to: z.iso.date().optional(),
  by: listSchema(z.enum(USAGE_DIMENSIONS), { min: 1, max: USAGE_DIMENSIONS.length }).optional(),
});

/** Tokens and money that tenants use: a ledger that all processes of a storage share. */
export class OrchestratorUsage {
  constructor(
    private readonly parts: {
      readonly ledger: UsageLedger;
      readonly prices: Prices;
      readonly hooks: Hooks;
      readonly clock: Clock;
      readonly random: Random;
    },
  ) {}

  /**
   * Adds usage to the ledger; it is there once this resolves. Counts in the budgets of the tenant, and in that of the task.
   *
   * @throws {OrchestratorError} `invalid_request`, `storage_unavailable`
   */
  async trackTokenUsage(usage: TokenUsage): Promise<void> {
    const {
      tenant: tenantId,
      tokens,
      model,
      tokenType,
      cachedTokens,
      callId,
      ...about
    } = validate(usageSchema, usage, 'usage');
    const {
      service,
      task_id: taskId,
      session_id: sessionId,
      agent_id: agentId,
      user_id: userId,
    } = about.metadata;
    const operation = service === undefined ? about.operation : `${service}.${about.operation}`;
    const { ledger, prices, hooks, random } = this.parts;
    const used: Usage = prices.priced({
      tokens,
      model,
      ...(tokenType === 'completion' && { completion_tokens: tokens }),
      ...((tokenType === 'prompt' || tokenType === 'embedding') && { prompt_tokens: tokens }),
      ...(cachedTokens !== undefined && { cached_tokens: cachedTokens }),
    });
    const params = {
      tenantId,
      id: callId ?? random.uuid(),
      model,
      operation,
      tokens,
      savedTokens: 0,
      promptTokens: used.prompt_tokens,
      completionTokens: used.completion_tokens,
      cachedTokens,
      cost: used.cost,
      callId,
      taskId,
      sessionId,
      agentId,
      userId,
    };
    await ledger.add(given(params));
    hooks.emit('tokensUsed', { tenantId, operation, usage: used });
  }

  /**
   * Sums of the ledger.
   *
   * @throws {OrchestratorError} `invalid_request`, also above 10,000 rows: request fewer days, or group by less.
   */
  sum(query: UsageQuery): Promise<readonly UsageSum[]> {
    return sumUsage(this.parts, query);
  }
}

export async function sumUsage(
  { ledger, clock }: { readonly ledger: UsageLedger; readonly clock: Clock },
  query: UsageQuery,
): Promise<readonly UsageSum[]> {
  const { tenant: tenantId, by, ...range } = validate(querySchema, query, 'the query');
  const { to = dayOf(clock.now()) } = range;
  const { from = dayOf(Date.parse(to) - (DEFAULT_DAYS - 1) * DAY_MS) } = range;
  const unique = by && [...new Set(by)];
  return ledger.sum({ tenantId, from, to, ...(unique && { by: unique }) });
}

/** Without absent fields. */
function given(params: {
  readonly [K in keyof AddUsageParams]: AddUsageParams[K] | undefined;
}): AddUsageParams {
  const entries = Object.entries(params).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as unknown as AddUsageParams;
}

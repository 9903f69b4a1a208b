import { OrchestratorError } from '@agent-orchestrator/core';
import type { SettleParams, SettleResult } from '@agent-orchestrator/core/storage';
import type { Claims } from '../queue/claims.js';
import { outcomeOf, type Settlements } from '../queue/settlements.js';
import type { RedisState } from '../scripts/tenant-steps.js';
import { isFastSettlement } from './is-fast.js';
import { type BatchPart, MicroBatch, type PartOutcome } from './micro-batch.js';

/** A class, like all short-lived values: see ADR 10. */
class FastCompletion {
  /** @param outcome JSON. */
  constructor(
    readonly params: SettleParams,
    readonly state: 'completed' | 'failed',
    readonly outcome: string,
  ) {}
}

/** Answer of the script for a task that is not a fast one. */
const NOT_FAST = -1;

/** Settles tasks: fast ones many at a time, others one by one. */
export class FastSettlements {
  readonly #completions: MicroBatch<FastCompletion, SettleResult>;

  constructor(
    private readonly state: RedisState,
    private readonly claims: Claims,
    private readonly oneByOne: Settlements,
  ) {
    this.#completions = new MicroBatch({
      acrossTenants: state.parts.topology.stepsSpanTenants,
      send: (parts) => this.#settleMany(parts),
    });
  }

  settle(params: SettleParams): Promise<SettleResult> {
    const { tenantId, settlement } = params;
    if (!isFastSettlement(settlement)) return this.oneByOne.settle(params);
    return this.#completions.add(
      tenantId,
      new FastCompletion(params, settlement.kind, outcomeOf(settlement)),
    );
  }

  async #settleMany(
    parts: readonly BatchPart<FastCompletion>[],
  ): Promise<readonly PartOutcome<SettleResult>[]> {
    const answers = await this.state.changeMany(
      'settleFast',
      parts.map(({ tenantId, items }) => ({ tenantId, args: completionArguments(items) })),
    );
    return answers.map((answer, at) => {
      const part = parts[at];
      if (answer instanceof OrchestratorError || !part) return answer as OrchestratorError;
      const outcomes = answer.outcome as readonly number[];
      if (outcomes.includes(0)) void this.state.resync(part.tenantId);
      return part.items.map(({ params }, item) => this.#settled(params, outcomes[item]));
    });
  }

  #settled(params: SettleParams, outcome: number | undefined): SettleResult | Promise<SettleResult> {
    if (outcome === NOT_FAST) return this.oneByOne.settle(params);
    this.claims.released(params);
    return outcome === 1 ? 'settled' : 'lease_lost';
  }
}

/** Token and state are sent where they change: most tasks that end together were claimed together. */
function completionArguments(items: readonly FastCompletion[]): (string | number)[] {
  const args: (string | number)[] = [items.length];
  let before: FastCompletion | undefined;
  for (const item of items) {
    const { state, outcome } = item;
    const { taskId, token } = item.params;
    if (token !== before?.params.token || state !== before.state) args.push('', state, token);
    args.push(taskId, outcome);
    before = item;
  }
  return args;
}

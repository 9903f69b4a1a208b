import { OrchestratorError } from '@agent-orchestrator/core';
import { fieldText } from '@agent-orchestrator/core/protocol';
import {
  type Lease,
  type Settlement,
  type Swept,
  type TaskQueue,
  type Claim,
  type ClaimParams,
  type RenewParams,
  type SettleParams,
  type SettleResult,
  type SweepParams,
  type WakeParams,
  type WakeResult,
} from '@agent-orchestrator/core/storage';
import type { Claims } from './claims.js';
import { storedMessage } from '../tasks/messages.js';
import { type BatchPart, MicroBatch, type PartOutcome } from '../scripts/micro-batch.js';
import type { RedisState } from '../scripts/tenant-steps.js';
import type { Sweeps } from './sweeps.js';

type Settled = SettleResult;

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

export class RedisTaskQueue implements TaskQueue {
  readonly #fastCompletions: MicroBatch<FastCompletion, Settled>;

  constructor(
    private readonly state: RedisState,
    private readonly claims: Claims,
    private readonly sweeps: Sweeps,
  ) {
    this.#fastCompletions = new MicroBatch({
      acrossTenants: !state.parts.isCluster,
      send: (parts) => this.#settleMany(parts),
    });
  }

  claim(params: ClaimParams): Promise<readonly Claim[]> {
    return this.claims.claim(params);
  }

  async renew({ leases, leaseMs }: RenewParams): Promise<readonly Lease[]> {
    const byTenant = new Map<string, Lease[]>();
    for (const lease of leases) {
      const own = byTenant.get(lease.tenantId);
      if (own) own.push(lease);
      else byTenant.set(lease.tenantId, [lease]);
    }
    const lost = await Promise.all(
      [...byTenant].map(([tenantId, own]) => this.#renew(tenantId, own, leaseMs)),
    );
    for (const lease of lost.flat()) this.claims.released(lease);
    return lost.flat();
  }

  async #renew(tenantId: string, leases: readonly Lease[], leaseMs: number): Promise<readonly Lease[]> {
    const tasks = leases.flatMap(({ taskId, token, begun = false }) => [taskId, token, begun]);
    const request = { lease: leaseMs, tasks };
    const isLost = (await this.state.change(tenantId, 'renew', JSON.stringify(request))) as number[];
    return leases.filter((_, at) => isLost[at] === 1);
  }

  /** Common settlements are batched. The script detects the tasks that need the full one. */
  settle(params: SettleParams): Promise<Settled> {
    const { tenantId, settlement } = params;
    const { kind } = settlement;
    const isFast =
      (kind === 'failed' && !settlement.diagnostic) || (kind === 'completed' && !settlement.answer);
    if (!isFast) return this.#settleOne(params);
    return this.#fastCompletions.add(tenantId, new FastCompletion(params, kind, outcomeOf(settlement)));
  }

  async #settleOne({ tenantId, taskId, token, settlement }: SettleParams): Promise<Settled> {
    const request = JSON.stringify({ id: taskId, token, ...requestOf(settlement, taskId) });
    const diagnostic = 'diagnostic' in settlement ? JSON.stringify(settlement.diagnostic) : '';
    const answer = await this.state.change(tenantId, 'settle', request, outcomeOf(settlement), diagnostic);
    if (answer !== 'newer_outcome') this.claims.released({ tenantId, taskId, token });
    return answer as Settled;
  }

  async #settleMany(parts: readonly BatchPart<FastCompletion>[]): Promise<readonly PartOutcome<Settled>[]> {
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

  #settled(params: SettleParams, outcome: number | undefined): Settled | Promise<Settled> {
    if (outcome === NOT_FAST) return this.#settleOne(params);
    this.claims.released(params);
    return outcome === 1 ? 'settled' : 'lease_lost';
  }

  async wake({ tenantId, taskId }: WakeParams): Promise<WakeResult> {
    return (await this.state.change(tenantId, 'wake', taskId)) as 'woken' | 'not_parked';
  }

  sweep({ max }: SweepParams): Promise<Swept> {
    return this.sweeps.sweep(max);
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

/** The result or the error, as JSON. */
function outcomeOf(settlement: Settlement): string {
  if (settlement.kind === 'completed') return fieldText(settlement, 'result');
  return 'error' in settlement ? JSON.stringify(settlement.error) : '';
}

/** The fields of a settlement that the script uses; user data is JSON, which is not decoded there. */
function requestOf(settlement: Settlement, taskId: string) {
  switch (settlement.kind) {
    case 'completed': {
      const { answer } = settlement;
      if (!answer) return { kind: settlement.kind };
      const { message_id, content } = answer;
      const message = storedMessage({ message_id, role: 'assistant', content, task_id: taskId });
      return { kind: settlement.kind, message_id, message };
    }
    case 'failed':
      return { kind: settlement.kind, reason: settlement.error.message };
    case 'retry': {
      const { error, delayMs, drop } = settlement;
      const details = JSON.stringify({ code: error.code, error: error.message, delay_ms: delayMs });
      return {
        kind: settlement.kind,
        delay: delayMs,
        drop,
        retry: details.slice(1, -1),
        exhausted: `${error.code}: ${error.message}`,
      };
    }
    case 'parked':
      return { kind: settlement.kind, journal_rev: settlement.journalRev };
    case 'released':
    case 'cancelled':
      return { kind: settlement.kind };
    default:
      return settlement satisfies never;
  }
}

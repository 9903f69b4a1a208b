import { fieldText } from '@agent-orchestrator/core/protocol';
import type { SettleParams, SettleResult, Settlement } from '@agent-orchestrator/core/storage';
import type { RedisState } from '../scripts/tenant-steps.js';
import { storedMessage } from '../tasks/messages.js';
import { errorText } from '../tasks/task-codec.js';
import type { Claims } from './claims.js';

/** Settles tasks one by one, whatever they have: steps, a session, a batch. See `fast/` for those that have none. */
export class Settlements {
  constructor(
    private readonly state: RedisState,
    private readonly claims: Claims,
  ) {}

  async settle({ tenantId, taskId, token, settlement }: SettleParams): Promise<SettleResult> {
    const request = JSON.stringify({ id: taskId, token, ...requestOf(settlement, taskId) });
    const diagnostic = 'diagnostic' in settlement ? JSON.stringify(settlement.diagnostic) : '';
    const answer = await this.state.change(tenantId, 'settle', request, outcomeOf(settlement), diagnostic);
    if (answer !== 'newer_outcome') this.claims.released({ tenantId, taskId, token });
    return answer as SettleResult;
  }
}

/** The result or the error, as JSON. */
export function outcomeOf(settlement: Settlement): string {
  if (settlement.kind === 'completed') return fieldText(settlement, 'result');
  return 'error' in settlement ? errorText(settlement.error) : '';
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

import type { Claim } from '@agent-orchestrator/core';
import { readRecord, readTask, type StoredStep, type StoredTask, viewStep, viewTask } from './task-view.js';

/**
 * Id and state of a task; of one that has asked for something its steps, outcomes by key, and changes. Instead of a state,
 * one that was only submitted has its version.
 */
type ClaimedReply = readonly [string, string | number, (readonly string[])?, (readonly string[])?, number?];

/** Tasks of one tenant as a claim took them. */
export interface Taken {
  readonly tenantId: string;
  readonly tasks: readonly ClaimedReply[];
}

/** What tasks have in common that were only submitted, once they are claimed. */
export interface FreshLease {
  readonly token: string;
  /** In milliseconds since 1970. */
  readonly at: number;
}

/**
 * What a claim script answers for a tenant: when all tasks were only submitted, their version and their ids as one text;
 * else 0 and the tasks.
 */
export type TakenReply = [version: number, found: string | readonly ClaimedReply[]];

export function takenOf(tenantId: string, ...[version, found]: TakenReply): Taken {
  const tasks =
    typeof found === 'string' ? found.split(' ').map((taskId) => [taskId, version] as const) : found;
  return { tenantId, tasks };
}

export interface ClaimedTask {
  readonly claim: Claim;
  /** Whether it has cost a worker before. */
  readonly lost: boolean;
}

const NO_STEPS: readonly StoredStep[] = [];

/**
 * @param records the stored tasks, in the same order; one that is gone is left out.
 */
export function readClaimed(
  { tenantId, tasks }: Taken,
  records: readonly (string | null)[],
  { token, at }: FreshLease,
): readonly ClaimedTask[] {
  const read: ClaimedTask[] = [];
  for (const [index, reply] of tasks.entries()) {
    const record = records[index];
    if (typeof record !== 'string') continue;
    const [taskId, version] = reply;
    if (typeof version === 'string') {
      read.push(readTouched(tenantId, reply, record));
      continue;
    }
    const stored: StoredTask = {
      taskId,
      ...readRecord(record),
      state: { state: 'leased', token, since: at, began: at, attempt: 1, rev: 2, version },
      outcome: undefined,
      steps: NO_STEPS,
    };
    read.push({ claim: claimOf(tenantId, stored), lost: false });
  }
  return read;
}

function readTouched(tenantId: string, reply: ClaimedReply, record: string): ClaimedTask {
  const [taskId, state, steps = [], outcomes = [], changes = 0] = reply;
  const stored = readTask([taskId, record, String(state), steps]);
  const byKey = new Map<string, string>();
  for (let at = 0; at < outcomes.length; at += 2)
    byKey.set(outcomes[at] as string, outcomes[at + 1] as string);
  const inOrderOfChange = stored.steps.toSorted((a, b) => a.changed - b.changed || a.at - b.at);
  const claim: Claim = {
    ...claimOf(tenantId, stored),
    steps: inOrderOfChange.map((step) => viewStep(step, byKey.get(step.key))),
    seen: changes,
  };
  return { claim, lost: (stored.state.lost ?? 0) > 0 };
}

function claimOf(tenantId: string, stored: StoredTask): Claim {
  const { state, taskId } = stored;
  return {
    task: viewTask(tenantId, stored),
    token: state.token ?? '',
    version: state.version ?? 1,
    startedAt: state.began ?? 0,
    seed: state.seed ?? taskId,
    steps: [],
    seen: 0,
    shown: state.shown ?? 0,
  };
}

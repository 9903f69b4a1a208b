import type { Claim } from '@agent-orchestrator/core';
import {
  readRecord,
  readTask,
  type StoredState,
  type StoredStep,
  type StoredTask,
  viewStep,
  viewTask,
} from './task-view.js';

/**
 * Id and state of a task; of one that has asked for something its steps, outcomes by key, and changes. Instead of a state,
 * that of a plain task has its version: the rest is the same for all that one claim takes.
 */
export type ClaimedReply = readonly [
  string,
  string | number,
  (readonly string[])?,
  (readonly string[])?,
  number?,
];

export interface ClaimedTask {
  readonly claim: Claim;
  /** Whether it has cost a worker before. */
  readonly lost: boolean;
}

const NO_STEPS: readonly StoredStep[] = [];

/**
 * Tasks of one tenant, as a claim took them.
 *
 * @param records the stored tasks, in the same order; one that is gone is left out.
 * @param opening the state of plain tasks, up to their version.
 */
export function readClaimed(
  tenantId: string,
  found: readonly ClaimedReply[],
  records: readonly (string | null)[],
  opening: string,
): readonly ClaimedTask[] {
  const plain = new Map<number, StoredState>();
  const plainState = (version: number): StoredState => {
    let state = plain.get(version);
    if (!state) plain.set(version, (state = JSON.parse(`${opening}${version}}`) as StoredState));
    return state;
  };
  return found.flatMap((reply, at) => {
    const [taskId, state] = reply;
    const record = records[at];
    if (typeof record !== 'string') return [];
    if (typeof state === 'string') return [readTouched(tenantId, reply, record)];
    const stored: StoredTask = {
      taskId,
      ...readRecord(record),
      state: plainState(state),
      outcome: undefined,
      steps: NO_STEPS,
    };
    return [{ claim: claimOf(tenantId, stored), lost: false }];
  });
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

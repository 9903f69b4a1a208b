import { type Task } from '@agent-orchestrator/core';
import { DEFAULTS } from '@agent-orchestrator/core/protocol';
import { type Claim, type ClaimedMessages, type JournalStep } from '@agent-orchestrator/core/storage';
import { readMessage } from '../tasks/messages.js';
import {
  NO_STEPS,
  readTask,
  ReadTask,
  type StoredState,
  type StoredTask,
  TaskView,
  viewStep,
} from '../tasks/task-codec.js';

/**
 * Id and state of a task; with a journal its steps, outcomes by key, and changes; or 1, when those are too
 * large for the claim; messages of its session, and the number of older ones. Instead of a state, a task that was only submitted has its version.
 */
type ClaimedReply = readonly [
  string,
  string | number,
  (readonly string[] | null)?,
  (readonly string[] | null)?,
  number?,
  (1 | null)?,
  (readonly string[])?,
  number?,
];

/** Claimed tasks of one tenant. */
export interface Taken {
  readonly tenantId: string;
  readonly tasks: readonly ClaimedReply[];
}

/** Common fields of claimed tasks that were only submitted before. */
export interface FreshLease {
  readonly token: string;
  /** Epoch ms. */
  readonly at: number;
  /** Number of these tasks that the worker begins at once. */
  readonly begins: number;
}

/**
 * Answer of a claim script for a tenant: when all tasks were only submitted, their version and their ids as
 * one text; else 0 and the tasks.
 */
export type TakenReply = [version: number, found: string | readonly ClaimedReply[]];

export function takenOf(tenantId: string, ...[version, found]: TakenReply): Taken {
  const tasks =
    typeof found === 'string' ? found.split(' ').map((taskId) => [taskId, version] as const) : found;
  return { tenantId, tasks };
}

/** A class, like all short-lived values: see ADR 10. */
export class TakenClaim implements Claim {
  readonly task: Task;
  readonly token: string;
  readonly version: number;
  readonly startedAt: number;
  readonly seed: string;
  readonly replayedTo: number;
  readonly inherited: number;
  readonly #lost: boolean;
  declare readonly unread?: true;
  declare sessionMessages?: ClaimedMessages;

  constructor(
    tenantId: string,
    stored: StoredTask,
    readonly steps: readonly JournalStep[] = NO_STEPS,
    readonly journalRev = 0,
    readonly prefetched = false,
    unread = false,
  ) {
    if (unread) this.unread = true;
    const { taskId, state } = stored;
    this.task = new TaskView(tenantId, stored);
    this.token = state.token ?? '';
    this.version = state.version ?? 1;
    this.startedAt = state.began ?? 0;
    this.seed = state.seed ?? taskId;
    this.replayedTo = state.replayed_to ?? 0;
    this.inherited = state.inherited ?? 0;
    this.#lost = (state.lost ?? 0) >= DEFAULTS.suspectFromLosses;
  }

  /** Whether it has lost several workers in a row. */
  get lost(): boolean {
    return this.#lost;
  }
}

/** @param records the stored tasks, in the same order; a removed one is left out. */
export function readClaimed(
  { tenantId, tasks }: Taken,
  records: readonly (string | null)[],
  { token, at, begins }: FreshLease,
): readonly TakenClaim[] {
  let fresh: StoredState | undefined;
  return tasks.flatMap((reply, index) => {
    const record = records[index];
    if (typeof record !== 'string') return [];
    const [taskId, version] = reply;
    if (typeof version === 'string') return readTouched(tenantId, reply, record);
    if (fresh?.version !== version)
      fresh = { state: 'leased', token, since: at, began: at, attempt: 1, rev: 2, version };
    return new TakenClaim(tenantId, new ReadTask(taskId, record, fresh), NO_STEPS, 0, index >= begins);
  });
}

function readTouched(tenantId: string, reply: ClaimedReply, record: string): TakenClaim {
  const [taskId, text, steps, found, changes = 0, unread, messages, older = 0] = reply;
  const outcomes = found ?? [];
  const stored = readTask([taskId, record, String(text), steps ?? []]);
  const byKey = new Map<string, string>();
  for (let at = 0; at < outcomes.length; at += 2)
    byKey.set(outcomes[at] as string, outcomes[at + 1] as string);
  const inOrderOfChange = stored.steps.toSorted((a, b) => a.rev - b.rev || a.at - b.at);
  const { failures = 0, prefetched } = stored.state;
  const viewed = inOrderOfChange.map((step) => viewStep(step, byKey.get(step.key), failures));
  const claim = new TakenClaim(tenantId, stored, viewed, changes, prefetched, unread === 1);
  if (messages) claim.sessionMessages = { messages: messages.map(readMessage), hasOlder: older > 0 };
  return claim;
}

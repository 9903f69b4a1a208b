import { fieldText } from '@agent-orchestrator/core/protocol';
import type { BatchSubmission, Settlement, Submission, SubmitParams } from '@agent-orchestrator/core/storage';

// What takes the fast path is decided here, and nowhere else: see README.md.

/** Limits of tasks, and of characters in their payloads, for storing a batch in one command. */
const MAX_TASKS = 1_000;
const MAX_TEXT = 4 * 1024 * 1024;

/** Whether a task can be claimed at once, and nothing but the task is stored. */
function isFastTask({ task, message }: Submission): boolean {
  const { session_id, runAt, budgetTokens } = task;
  return session_id === undefined && runAt === undefined && budgetTokens === undefined && !message;
}

/** Whether a task can be stored with others: its answer is never compared with an earlier one. */
export function isFastSubmission({ submission, idempotency }: SubmitParams): boolean {
  return !idempotency && isFastTask(submission);
}

/** Whether the tasks of a batch can be stored in one command: all are fast, and their ids differ. */
export function isFastBatch({ items }: BatchSubmission): boolean {
  if (items.length > MAX_TASKS) return false;
  const ids = new Set<string>();
  let tasks = 0;
  let text = 0;
  for (const item of items) {
    if ('error' in item) continue;
    if (!isFastTask(item)) return false;
    ids.add(item.task.task_id);
    tasks += 1;
    text += fieldText(item.task, 'payload').length;
  }
  return tasks > 0 && ids.size === tasks && text <= MAX_TEXT;
}

/**
 * Whether a task may end with others. The script decides whether its task is fast: only a task that was submitted and
 * ran once, without steps, session or batch limits, has a state that is not JSON.
 */
export function isFastSettlement(
  settlement: Settlement,
): settlement is Extract<Settlement, { readonly kind: 'completed' | 'failed' }> {
  if (settlement.kind === 'completed') return !settlement.answer;
  return settlement.kind === 'failed' && !settlement.diagnostic;
}

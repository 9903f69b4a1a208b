import { viewJson } from '../kept-json.js';
import type { DelegatedService, Task } from '../../protocol/task.js';
import type { JournalStep } from '../../storage/call-journal.js';
import { statusOf } from '../../protocol/task-state.js';
import { readOutcome } from '../journal/call-outcomes.js';
import type { StepEntry, TaskEntry } from './task-entry.js';

/**
 * Cache of timestamps as text: many tasks share a millisecond, and formatting one costs more than the rest of
 * the view.
 */
class Timestamps {
  private at = Number.NaN;
  private text = '';

  of(at: number): string {
    if (at !== this.at) {
      this.text = new Date(at).toISOString();
      this.at = at;
    }
    return this.text;
  }
}

const created = new Timestamps();
const updated = new Timestamps();

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** A task in wire format, as a copy. */
export function viewTask(tenantId: string, entry: TaskEntry): Task {
  const { spec } = entry;
  const task: Writable<Task> = {
    task_id: spec.task_id,
    tenant_id: tenantId,
    status: statusOf(entry.state),
    type: spec.type,
    priority: spec.priority,
    attempt: entry.attempt,
    max_attempts: spec.maxAttempts,
    rev: entry.rev,
    created_at: created.of(entry.createdAt),
    updated_at: updated.of(entry.updatedAt),
    metadata: { ...spec.metadata, timeout_ms: spec.timeoutMs },
    delegated_services: viewCalls(entry),
    payload: null,
  };
  viewJson(task, 'payload', entry.payload);
  addOrigin(task, entry);
  const runAt = entry.state === 'scheduled' ? entry.dueAt : spec.runAt;
  if (runAt !== undefined) task.run_at = new Date(runAt).toISOString();
  if (entry.version !== undefined) task.version = entry.version;
  if (entry.progress) task.progress = { ...entry.progress };
  if (spec.budgetTokens !== undefined) task.budget = { tokens: spec.budgetTokens };
  if (entry.tokens > 0) task.usage = { tokens: entry.tokens };
  if (entry.finishedAt !== undefined) task.finished_at = updated.of(entry.finishedAt);
  if (entry.result !== undefined) viewJson(task, 'result', entry.result);
  if (entry.error) task.error = { ...entry.error };
  return task;
}

/** Adds session, batch, parent and redrive ids. */
function addOrigin(task: Writable<Task>, { spec, batch, redrivenFrom }: TaskEntry): void {
  if (spec.session_id !== undefined) task.session_id = spec.session_id;
  if (spec.agent_id !== undefined) task.agent_id = spec.agent_id;
  if (spec.parent_task_id !== undefined) task.parent_task_id = spec.parent_task_id;
  if (spec.requested_by !== undefined) task.requested_by = spec.requested_by;
  if (batch) task.batch_id = batch.batchId;
  if (redrivenFrom !== undefined) task.redriven_from = redrivenFrom;
}

function viewCalls(entry: TaskEntry): DelegatedService[] {
  const views: DelegatedService[] = [];
  for (const step of entry.journal.steps.values()) {
    for (const call of step.calls) {
      views.push({
        service: call.service,
        ...(call.jobId !== undefined && { task_id: call.jobId }),
        call_id: call.callId,
        operation: call.operation,
        status: call.state !== 'ended' ? 'processing' : call.ok === true ? 'completed' : 'failed',
      });
    }
  }
  return views;
}

/** A step as its worker gets it, as a copy. */
export function viewStep(step: StepEntry, { failures }: TaskEntry): JournalStep {
  const open = step.calls.at(-1);
  return {
    key: step.key,
    kind: step.kind,
    name: step.name,
    rev: step.rev,
    tries: step.calls.length,
    backingOff: step.retryAt !== undefined,
    inherited: step.era < failures,
    ...(step.outcome && { outcome: readOutcome(step.outcome) }),
    ...(step.endedAt !== undefined && { endedAt: step.endedAt }),
    ...(open &&
      open.state !== 'ended' && {
        call: { call_id: open.callId, ...(open.jobId !== undefined && { job_id: open.jobId }) },
      }),
  };
}

/** Steps changed after `journalRev`, oldest change first: one page, and whether there are more. */
export function changesAfter(
  entry: TaskEntry,
  journalRev: number,
  pageBytes: number,
): { readonly changes: JournalStep[]; readonly journalRev: number; readonly more?: true } {
  const { journal } = entry;
  const changes: JournalStep[] = [];
  if (journal.rev <= journalRev) return { changes, journalRev: journal.rev };
  let bytes = 0;
  for (const step of changedAfter(entry, journalRev)) {
    bytes += step.outcomeBytes;
    if (changes.length > 0 && bytes > pageBytes) return { changes, journalRev: step.rev - 1, more: true };
    changes.push(viewStep(step, entry));
  }
  return { changes, journalRev: journal.rev };
}

/** All steps of a journal, unchanged ones first. */
export function viewSteps(entry: TaskEntry): JournalStep[] {
  return changedAfter(entry, -1).map((step) => viewStep(step, entry));
}

function changedAfter({ journal }: TaskEntry, journalRev: number): StepEntry[] {
  const rev: StepEntry[] = [];
  for (const step of journal.steps.values()) if (step.rev > journalRev) rev.push(step);
  return rev.toSorted((a, b) => a.rev - b.rev);
}

import type { DelegatedService, Task } from '../protocol/task.js';
import type { JournalStep } from '../storage/call-journal.js';
import { statusOf } from '../tasks/task-state.js';
import { copyJson } from './memory-state.js';
import type { StepEntry, TaskEntry } from './tenant-state.js';

const iso = (at: number) => new Date(at).toISOString();

/** A task as it crosses the wire: a copy. */
export function viewTask(tenantId: string, entry: TaskEntry): Task {
  const { spec } = entry;
  const runAt = entry.state === 'scheduled' ? entry.dueAt : spec.runAt;
  return {
    task_id: spec.task_id,
    tenant_id: tenantId,
    ...(spec.session_id !== undefined && { session_id: spec.session_id }),
    ...(spec.agent_id !== undefined && { agent_id: spec.agent_id }),
    ...(spec.parent_task_id !== undefined && { parent_task_id: spec.parent_task_id }),
    ...(spec.requested_by !== undefined && { requested_by: spec.requested_by }),
    ...(entry.batch && { batch_id: entry.batch.batchId }),
    ...(entry.redrivenFrom !== undefined && { redriven_from: entry.redrivenFrom }),
    created_at: iso(entry.createdAt),
    updated_at: iso(entry.updatedAt),
    ...(runAt !== undefined && { run_at: iso(runAt) }),
    ...(entry.finishedAt !== undefined && { finished_at: iso(entry.finishedAt) }),
    status: statusOf(entry.state),
    type: spec.type,
    ...(entry.version !== undefined && { version: entry.version }),
    priority: spec.priority,
    delegated_services: viewCalls(entry),
    metadata: { ...spec.metadata, timeout_ms: spec.timeoutMs },
    payload: copyJson(spec.payload),
    ...(entry.result !== undefined && { result: copyJson(entry.result) }),
    ...(entry.error && { error: entry.error }),
    attempt: entry.attempt,
    max_attempts: spec.maxAttempts,
    rev: entry.rev,
    ...(entry.progress && { progress: entry.progress }),
    ...(entry.tokens > 0 && { usage: { tokens: entry.tokens } }),
  };
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

/** A step as its worker gets it: a copy. */
export function viewStep(step: StepEntry): JournalStep {
  const open = step.calls.at(-1);
  return {
    key: step.key,
    kind: step.kind,
    name: step.name,
    changed: step.changed,
    tries: step.calls.length,
    backingOff: step.retryAt !== undefined,
    ...(step.outcome && {
      outcome: step.outcome.ok ? { ok: true, value: copyJson(step.outcome.value) } : step.outcome,
    }),
    ...(step.endedAt !== undefined && { endedAt: step.endedAt }),
    ...(open &&
      open.state !== 'ended' && {
        call: { call_id: open.callId, ...(open.jobId !== undefined && { job_id: open.jobId }) },
      }),
  };
}

/** The steps that changed after `seen`, oldest change first. */
export function viewSteps(entry: TaskEntry, seen: number): JournalStep[] {
  const changed: StepEntry[] = [];
  for (const step of entry.journal.steps.values()) if (step.changed > seen) changed.push(step);
  return changed.toSorted((a, b) => a.changed - b.changed).map(viewStep);
}

import { jobKey, type TenantState } from '../tenants/tenant-state.js';
import type { TaskEntry } from './task-entry.js';

/**
 * Removes an ended task with its journal and its calls. Its events stay, and a batch keeps its state. Returns whether it was
 * still there: timers of a discarded task remain until they fire, and another task may have its id by then.
 */
export function removeTask(tenant: TenantState, entry: TaskEntry): boolean {
  const { task_id: taskId } = entry.spec;
  if (tenant.tasks.get(taskId) !== entry) return false;
  const inJournal = [...entry.journal.steps.values()].flatMap((step) => step.calls);
  for (const call of [...inJournal, ...entry.dropped]) {
    tenant.calls.delete(call.callId);
    const key = call.jobId === undefined ? undefined : jobKey(call.service, call.jobId);
    if (key !== undefined && tenant.jobs.get(key) === call.callId) tenant.jobs.delete(key);
  }
  tenant.counts[entry.state as 'completed' | 'failed' | 'cancelled'] -= 1;
  tenant.charge(-entry.bytes);
  const items = entry.batch?.items ?? [];
  const at = items.indexOf(entry);
  if (at >= 0) items[at] = { goneId: taskId, state: entry.state };
  tenant.tasksInOrder.remove(entry.sequence);
  tenant.tasks.delete(taskId);
  entry.forget();
  return true;
}

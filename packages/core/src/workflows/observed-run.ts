import type { Claim, Settlement } from '../storage/task-queue.js';
import type { RunPorts } from './run-ports.js';

/** End of a run. `abandoned`: the lease was lost or given up. */
export type RunEnd = Settlement | { readonly kind: 'abandoned' };

/** Emits `runStarted`, and `runEnded` before the run ends by `end`, if anything listens. */
export function observedRun(
  { hooks, clock }: Pick<RunPorts, 'hooks' | 'clock'>,
  claim: Claim,
  end: (end: RunEnd) => void,
): (end: RunEnd) => void {
  const { tenant_id: tenantId, task_id: taskId, type, attempt } = claim.task;
  const about = { tenantId, taskId, type, attempt };
  const startedAt = clock.now();
  if (hooks.has('runStarted')) hooks.emit('runStarted', { ...about, ...waitOf(claim, startedAt) });
  if (!hooks.has('runEnded')) return end;
  return (ended) => {
    const error = 'error' in ended && ended.error !== undefined ? { error: ended.error } : {};
    const durationMs = clock.now() - startedAt;
    hooks.emit('runEnded', { ...about, outcome: ended.kind, durationMs, ...error });
    end(ended);
  };
}

function waitOf({ task, journalRev }: Claim, now: number): { readonly waitedMs?: number } {
  if (task.attempt > 1 || journalRev > 0) return {};
  // The storage's clock may be ahead of this one.
  return { waitedMs: Math.max(0, now - Date.parse(task.run_at ?? task.created_at)) };
}

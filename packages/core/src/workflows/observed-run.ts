import type { Task } from '../protocol/task.js';
import type { Settlement } from '../storage/task-queue.js';
import type { RunPorts } from './run-ports.js';

/** End of a run. `abandoned`: the lease was lost or given up. */
export type RunEnd = Settlement | { readonly kind: 'abandoned' };

/** Emits `runStarted`, and `runEnded` before the run ends by `end`, if anything listens. */
export function observedRun(
  { hooks, clock }: Pick<RunPorts, 'hooks' | 'clock'>,
  { tenant_id: tenantId, task_id: taskId, type, attempt }: Task,
  end: (end: RunEnd) => void,
): (end: RunEnd) => void {
  const about = { tenantId, taskId, type, attempt };
  if (hooks.has('runStarted')) hooks.emit('runStarted', about);
  if (!hooks.has('runEnded')) return end;
  const startedAt = clock.now();
  return (ended) => {
    const error = 'error' in ended && ended.error !== undefined ? { error: ended.error } : {};
    const durationMs = clock.now() - startedAt;
    hooks.emit('runEnded', { ...about, outcome: ended.kind, durationMs, ...error });
    end(ended);
  };
}

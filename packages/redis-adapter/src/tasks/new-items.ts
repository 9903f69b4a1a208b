import type { NewTask, Submission } from '@agent-orchestrator/core/storage';
import { storedMessage } from './messages.js';
import { headerOf, tailOf, type TaskOrigin } from './task-codec.js';

/** Data of a new task's event, as JSON. */
export function createdData(task: NewTask): string {
  return JSON.stringify({
    type: task.type,
    priority: task.priority,
    ...(task.session_id !== undefined && { session_id: task.session_id }),
  });
}

/** A task for the scripts that create tasks one by one. */
export function itemOf({ task, onBusy, message }: Submission, origin: TaskOrigin = {}) {
  const parallel = task.session_id !== undefined && onBusy === 'parallel';
  return {
    id: task.task_id,
    type: task.type,
    priority: task.priority,
    timeout: task.timeoutMs,
    tail: tailOf(headerOf(task, { ...origin, parallel })),
    data: createdData(task),
    on_busy: onBusy,
    ...(task.runAt !== undefined && { run_at: task.runAt }),
    ...(task.session_id !== undefined && { session: task.session_id }),
    ...(task.agent_id !== undefined && { agent: task.agent_id }),
    ...(task.parent_task_id !== undefined && { parent: task.parent_task_id }),
    ...(task.budgetTokens !== undefined && { budget: task.budgetTokens }),
    ...(message && {
      message_id: message.message_id,
      message: storedMessage({ ...message, task_id: task.task_id }),
    }),
  };
}

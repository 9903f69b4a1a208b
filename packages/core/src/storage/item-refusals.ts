import type { ErrorCode, TaskError } from '../protocol/errors.js';
import { TASK_TEXTS, taskText } from '../protocol/task-texts.js';
import type { NewTask } from './task-records.js';

/** Reasons to refuse an item of a batch. */
export const ITEM_REFUSALS = [
  'conflict',
  'session_closed',
  'session_busy',
  'type_forbidden',
  'budget_exceeded',
] as const;
/** Reason to refuse an item of a batch. */
export type ItemRefusal = (typeof ITEM_REFUSALS)[number];

/** Error of an item of a batch that is refused. */
export function refusedItem(refusal: ItemRefusal, task: NewTask): TaskError {
  const { session_id: sessionId = '', type } = task;
  const errors: Readonly<Record<ItemRefusal, readonly [ErrorCode, string]>> = {
    conflict: ['conflict', TASK_TEXTS.taskIdUsed],
    session_closed: ['session_closed', taskText('sessionIsClosed', { sessionId })],
    session_busy: ['session_busy', taskText('sessionIsBusy', { sessionId })],
    type_forbidden: ['forbidden', taskText('typeForbidden', { type })],
    budget_exceeded: ['budget_exceeded', TASK_TEXTS.budgetExceeded],
  };
  const [code, message] = errors[refusal];
  return { code, message, retryable: false };
}

import { boundedJson } from '../protocol/bounded-json.js';
import type { JsonArgument, JsonValue } from '../protocol/json.js';
import type { Task } from '../protocol/task.js';
import type { Storage } from '../storage/storage.js';
import type { RedriveParams } from '../storage/task-records.js';
import type { Clock } from '../runtime/clock.js';
import { refusalError } from './new-task.js';
import { otherPayload, redriveRefusal } from './refuse-redrive.js';
import { unknownTask } from './unknown-task.js';

/** A failed task, and what its new task gets instead of its payload. */
export interface RedriveRequest {
  readonly tenantId: string;
  readonly taskId: string;
  readonly payload?: JsonArgument | undefined;
}

/** The new task. `replayed`: it was there before. */
export interface Redriven {
  readonly task: Task;
  readonly replayed: boolean;
}

/** @throws {OrchestratorError} `payload_too_large`, `invalid_request` */
export function redrivePayload(payload: JsonArgument | undefined): JsonValue | undefined {
  return payload === undefined
    ? undefined
    : boundedJson(payload, { what: 'payload', tooLarge: 'payload_too_large' });
}

/** @throws {OrchestratorError} `not_found`, `queue_full`, `conflict` */
export async function redriveTask(
  { tasks, clock }: Pick<Storage, 'tasks'> & { readonly clock: Pick<Clock, 'now'> },
  params: Omit<RedriveParams, 'payload'> & { readonly payload: JsonValue | undefined },
): Promise<Redriven> {
  const { tenantId, taskId, newTaskId, payload, maxWaiting } = params;
  const about = { tenantId, taskId, newTaskId, maxWaiting };
  const redriven = await tasks.redrive({ ...about, ...(payload !== undefined && { payload }) });
  if (redriven.answer === 'redriven')
    return { task: redriven.task, replayed: redriven.task.task_id !== newTaskId };
  if (redriven.answer === 'other_payload') throw otherPayload(taskId);
  if (redriven.answer !== 'not_failed' && redriven.answer !== 'not_found')
    throw refusalError(redriven, clock.now());
  const old = await tasks.get({ tenantId, taskId });
  throw old ? redriveRefusal(old.task) : unknownTask(taskId);
}

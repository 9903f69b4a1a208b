import { OrchestratorError } from '../protocol/errors.js';
import { TASK_STATUSES, type TaskStatus } from '../protocol/task.js';
import { describe } from '../protocol/validation.js';
import { checkLimit } from '../protocol/page-limit.js';
import type { ListTasksParams } from '../storage/task-records.js';

/** Unvalidated query for a page of tasks. */
export interface TaskPageQuery {
  readonly tenantId: string;
  readonly status?: string | undefined;
  readonly type?: string | undefined;
  readonly sessionId?: string | undefined;
  readonly limit?: number | undefined;
  /** The `next` of the previous page. */
  readonly after?: string | undefined;
}

/** @throws {OrchestratorError} `invalid_request` */
export function taskPageOf(query: TaskPageQuery): ListTasksParams {
  const { tenantId, status, type, sessionId, after } = query;
  if (status !== undefined && !TASK_STATUSES.includes(status as TaskStatus)) {
    const expected = TASK_STATUSES.join(', ');
    throw new OrchestratorError('invalid_request', `status: expected ${expected}, got ${describe(status)}`);
  }
  if (after !== undefined && !/^\d{1,15}$/.test(after)) {
    const got = describe(after);
    throw new OrchestratorError('invalid_request', `cursor: expected the "next" of a page, got ${got}`);
  }
  return {
    tenantId,
    limit: checkLimit(query.limit),
    filter: {
      ...(status !== undefined && { status: status as TaskStatus }),
      ...(type !== undefined && { type }),
      ...(sessionId !== undefined && { sessionId }),
    },
    ...(after !== undefined && { after }),
  };
}

import { OrchestratorError } from '../protocol/errors.js';
import { TASK_STATUSES, type TaskStatus } from '../protocol/task.js';
import { PAGE_CURSOR, PAGE_SIZES, pageLimit, type PageOptions } from '../protocol/pages.js';
import { sinceSchema } from '../protocol/admin.js';
import { describe, validate } from '../protocol/validation.js';
import type { ListTasksParams } from '../storage/task-records.js';

/** Unvalidated query for a page of tasks. */
export interface TaskPageQuery extends PageOptions {
  readonly tenantId: string;
  readonly status?: string | undefined;
  readonly type?: string | undefined;
  readonly sessionId?: string | undefined;
  /** Code of the error that it ended with. */
  readonly code?: string | undefined;
  /** Changed at this time or later, ISO 8601. */
  readonly since?: string | undefined;
  /** Beginning of the task id. */
  readonly idPrefix?: string | undefined;
}

/** @throws {OrchestratorError} `invalid_request` */
export function taskPageOf(query: TaskPageQuery): ListTasksParams {
  const { tenantId, status, type, sessionId, code, since, idPrefix, cursor: after } = query;
  if (status !== undefined && !TASK_STATUSES.includes(status as TaskStatus)) {
    const expected = TASK_STATUSES.join(', ');
    throw new OrchestratorError('invalid_request', `status: expected ${expected}, got ${describe(status)}`);
  }
  if (after !== undefined && !PAGE_CURSOR.test(after)) {
    const got = describe(after);
    throw new OrchestratorError('invalid_request', `cursor: expected the "next" of a page, got ${got}`);
  }
  return {
    tenantId,
    limit: pageLimit(PAGE_SIZES.tenant, query.limit),
    filter: {
      ...(status !== undefined && { status: status as TaskStatus }),
      ...(type !== undefined && { type }),
      ...(sessionId !== undefined && { sessionId }),
      ...(code !== undefined && { code }),
      ...(since !== undefined && { since: Date.parse(validate(sinceSchema, since, 'since')) }),
      ...(idPrefix !== undefined && { idPrefix }),
    },
    ...(after !== undefined && { after }),
  };
}

import { idSchema, jobIdSchema, nameSchema } from '../protocol/ids.js';
import type { JsonArgument } from '../protocol/json.js';
import { validate } from '../protocol/validation.js';
import type { NewTask, TrackedCall } from '../storage/task-records.js';
import { fromTaskSubmission } from './new-task.js';

/** External work to register. */
export interface Registration {
  readonly tenantId: string;
  readonly taskId?: string;
  readonly type: string;
  readonly sessionId?: string;
  readonly payload?: JsonArgument;
  readonly timeoutMs?: number;
  readonly service?: string;
  readonly jobId?: string;
  /** Default `run`. */
  readonly operation?: string;
  /** Maximum time without a notification of the service, ms. Default: the task's time limit. */
  readonly silenceMs?: number;
}

/** The task to store, with its open call if a service is to report its outcome. @throws {OrchestratorError} `invalid_request` */
export function readRegistration(
  params: Registration,
  newId: () => string,
): { readonly task: NewTask; readonly call?: TrackedCall } {
  const { service, jobId, operation = 'run' } = params;
  const body = {
    type: params.type,
    payload: params.payload ?? {},
    session_id: params.sessionId,
    task_id: params.taskId,
    ...(params.timeoutMs !== undefined && { metadata: { timeout_ms: params.timeoutMs } }),
  };
  const { task } = fromTaskSubmission(body, newId);
  const call = service !== undefined && {
    callId: newId(),
    service: validate(idSchema, service, 'service'),
    operation: validate(nameSchema, operation, 'operation'),
    jobId: validate(jobIdSchema, jobId, 'job_id'),
    silenceMs: params.silenceMs ?? task.timeoutMs,
  };
  return { task, ...(call && { call }) };
}

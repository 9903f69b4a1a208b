import { OrchestratorError, type Task } from '@agent-orchestrator/core';
import { fieldText } from '@agent-orchestrator/core/protocol';
import {
  type NewTask,
  type SubmitAnswer,
  type SubmitRefusal,
  type RedriveParams,
  type RedriveResult,
  type RegisterParams,
  type RegisterResult,
  type SubmitParams,
} from '@agent-orchestrator/core/storage';
import { cursorOf } from '../scripts/epoch.js';
import { keyOf } from './idempotency.js';
import { itemOf } from './new-items.js';
import type { RedisState } from '../scripts/tenant-steps.js';
import type { Reply } from '../scripts/script-runner.js';
import { readTask, TaskView } from './task-codec.js';

/** More than the portions of a journal, even if its copy expires half done now and then. */
const MAX_STAGING = 10_000;
type Redriven =
  | ['redriven', Reply]
  | ['budget_exceeded', number]
  | ['not_failed' | 'other_payload' | 'not_found' | 'queue_full' | 'type_forbidden'];
/** Creation of tasks one by one: submitted, registered, or redriven; see also batches, and `fast/`. */
export class Submissions {
  constructor(private readonly state: RedisState) {}

  async submit({ tenantId, submission, idempotency, maxWaiting }: SubmitParams): Promise<SubmitAnswer> {
    const reply = await this.state.change(
      tenantId,
      'submit',
      JSON.stringify({
        task: itemOf(submission),
        ...keyOf(idempotency),
        max_waiting: Math.min(maxWaiting, Number.MAX_SAFE_INTEGER),
      }),
      fieldText(submission.task, 'payload'),
    );
    return this.stored(tenantId, reply);
  }

  async register({ tenantId, task, call, maxWaiting }: RegisterParams): Promise<RegisterResult> {
    const request = {
      max_waiting: Math.min(maxWaiting, Number.MAX_SAFE_INTEGER),
      task: itemOf({ task, onBusy: 'parallel' }),
      ...(call && {
        call: {
          id: call.callId,
          service: call.service,
          operation: call.operation,
          job: call.jobId,
          ...(Number.isFinite(call.silenceMs) && { silence: call.silenceMs }),
        },
      }),
    };
    const reply = await this.state.change(
      tenantId,
      'register',
      JSON.stringify(request),
      fieldText(task, 'payload'),
    );
    const stored = this.stored(tenantId, reply);
    if (!('task' in stored)) return registerRefusal(stored, reply);
    return { ...stored, answer: (stored.answer as string) === 'registered' ? 'registered' : 'replayed' };
  }

  async redrive(params: RedriveParams): Promise<RedriveResult> {
    const { tenantId, taskId, newTaskId, maxWaiting } = params;
    // A task's record never changes: it is read first, and the step itself checks the state.
    const reply = await this.state.run(tenantId, 'get', taskId);
    const [old] = reply as [Reply];
    if (old === null) return { answer: 'not_found' };
    const { header, payload } = readTask(old);
    const isChanged = params.payload !== undefined;
    const text = isChanged ? fieldText(params, 'payload') : payload;
    const task: NewTask = {
      task_id: newTaskId,
      type: header.type,
      priority: header.priority,
      payload: null,
      metadata: header.metadata,
      timeoutMs: header.timeout,
      maxAttempts: header.attempts,
      ...(header.session_id !== undefined && { session_id: header.session_id }),
      ...(header.agent_id !== undefined && { agent_id: header.agent_id }),
      ...(header.parent_task_id !== undefined && { parent_task_id: header.parent_task_id }),
      ...(header.budget !== undefined && { budgetTokens: header.budget }),
      ...(header.requested_by !== undefined && { requested_by: header.requested_by }),
    };
    const request = {
      id: taskId,
      task: itemOf({ task, onBusy: 'enqueue' }, { redrivenFrom: taskId }),
      max_waiting: Math.min(maxWaiting, Number.MAX_SAFE_INTEGER),
      ...(isChanged && { anew: true }),
    };
    const [answer, view] = await this.#redriven(tenantId, taskId, [JSON.stringify(request), text]);
    if (answer === 'queue_full') this.state.publishAtLimit(tenantId);
    if (answer === 'redriven') return { answer, task: new TaskView(tenantId, readTask(view)) };
    return answer === 'budget_exceeded' ? { answer, retryAt: view } : { answer };
  }

  /**
   * A large journal is first copied in steps of its own, at most one for each change; concurrent copies share
   * the work.
   */
  async #redriven(tenantId: string, taskId: string, request: readonly string[]): Promise<Redriven> {
    for (let left = MAX_STAGING; left > 0;) {
      const reply = await this.state.change(tenantId, 'redrive', ...request);
      const [answer] = reply as Redriven | ['staging'];
      if (answer !== 'staging') return reply as Redriven;
      for (let isDone = false; !isDone && left > 0; left -= 1)
        isDone = (await this.state.change(tenantId, 'stageJournal', taskId)) === 1;
    }
    throw new OrchestratorError(
      'storage_unavailable',
      `the journal of task "${taskId}" could not be copied in time`,
    );
  }

  #refused(tenantId: string, answer: string, till: Reply): SubmitAnswer {
    if (answer === 'budget_exceeded') return { answer, retryAt: Number(till) };
    if (answer === 'queue_full') this.state.publishAtLimit(tenantId);
    return { answer: answer as SubmitRefusal };
  }

  private stored(tenantId: string, reply: Reply): SubmitAnswer {
    const [answer, task, seq, epoch] = reply as [string, Reply, number, string];
    if (epoch === undefined) return this.#refused(tenantId, answer, task);
    return {
      answer: answer as 'submitted' | 'replayed',
      task: new TaskView(tenantId, readTask(task)),
      cursor: cursorOf(epoch, seq),
    };
  }
}

function registerRefusal(
  stored: Exclude<SubmitAnswer, { readonly task: Task }>,
  reply: Reply,
): RegisterResult {
  const [answer, wait] = reply as [string, number];
  if (answer === 'rate_limited') return { answer, retryAfterMs: wait };
  return stored as RegisterResult;
}

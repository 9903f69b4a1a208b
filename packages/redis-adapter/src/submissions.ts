import {
  type BatchSubmission,
  type Idempotency,
  type JsonValue,
  type NewTask,
  OrchestratorError,
  type Submission,
  type SubmitAnswer,
  type SubmitRefusal,
  type Task,
  type TaskRecords,
} from '@agent-orchestrator/core';
import { createHash } from 'node:crypto';
import { cursorOf } from './epoch.js';
import { storedMessage } from './messages.js';
import { type BatchPart, MicroBatch, type PartOutcome } from './micro-batch.js';
import type { RedisState } from './redis-state.js';
import type { Reply } from './script-runner.js';
import { headOf, readTask, type TaskHead, taskTail, viewTask, type TaskOrigin } from './task-view.js';

interface PlainTask {
  readonly task: NewTask;
  readonly head: Omit<TaskHead, 'at' | 'place'>;
  /** JSON. */
  readonly payload: string;
  readonly maxWaiting: number;
}

interface Born {
  readonly at: number;
  readonly place: number;
}

type PlainAnswer = Born | 'known' | 'queue_full';

/** How tasks come to be: submitted, in a batch, registered, or redriven. */
export class Submissions {
  readonly #plain: MicroBatch<PlainTask, PlainAnswer>;

  constructor(private readonly state: RedisState) {
    this.#plain = new MicroBatch({
      acrossTenants: !state.parts.isCluster,
      send: (parts) => this.#sendPlain(parts),
    });
  }

  async submit(params: Parameters<TaskRecords['submit']>[0]): Promise<SubmitAnswer> {
    this.state.checkOpen();
    const { tenantId, submission, idempotency, maxWaiting } = params;
    if (!idempotency && isPlain(submission)) {
      const { task } = submission;
      const plain = { task, head: headOf(task), payload: JSON.stringify(task.payload), maxWaiting };
      const answer = await this.#plain.add(tenantId, plain);
      if (answer === 'queue_full') return { answer };
      if (answer !== 'known') return this.#born(tenantId, plain, answer);
    }
    const { task } = submission;
    const reply = await this.state.change(
      tenantId,
      'submit',
      JSON.stringify({
        task: itemOf(submission),
        ...keyOf(idempotency),
        max_waiting: Math.min(maxWaiting, Number.MAX_SAFE_INTEGER),
      }),
      JSON.stringify(task.payload),
    );
    return this.stored(tenantId, reply);
  }

  /** A task that was just stored, as the adapter knows it without asking. */
  async #born(
    tenantId: string,
    { task, head, payload }: PlainTask,
    { at, place }: Born,
  ): Promise<SubmitAnswer> {
    const view = viewTask(tenantId, {
      taskId: task.task_id,
      head: { at, place, ...head },
      payload: JSON.parse(payload) as JsonValue,
      state: { state: 'ready', since: at, attempt: 0, rev: 1 },
      outcome: undefined,
      steps: [],
    });
    return { answer: 'submitted', task: view, cursor: cursorOf(await this.state.epochs.of(tenantId), place) };
  }

  async #sendPlain(parts: readonly BatchPart<PlainTask>[]): Promise<readonly PartOutcome<PlainAnswer>[]> {
    const answers = await this.state.changeMany('submitPlain', parts.map(plainArguments));
    return answers.map((answer) => {
      if (answer instanceof OrchestratorError) return answer;
      const [at, places] = answer as [number, number[]];
      return places.map((place) => (place > 0 ? { at, place } : place === 0 ? 'known' : 'queue_full'));
    });
  }

  async submitBatch(
    params: Parameters<TaskRecords['submitBatch']>[0],
  ): Promise<
    | { readonly answer: 'submitted' | 'replayed'; readonly batchId: string }
    | { readonly answer: 'idempotency_conflict' | 'queue_full' }
  > {
    const { tenantId, batch, idempotency, maxWaiting } = params;
    const payloads = batch.items.map((item) => ('task' in item ? JSON.stringify(item.task.payload) : ''));
    const request = {
      id: batch.batchId,
      max: batch.maxInFlight,
      fail_fast: batch.failFast,
      items: batch.items.map((item) => batchItem(item, batch.batchId)),
      ...keyOf(idempotency),
      max_waiting: Math.min(maxWaiting, Number.MAX_SAFE_INTEGER),
    };
    const [answer, batchId] = (await this.state.change(
      tenantId,
      'submitBatch',
      JSON.stringify(request),
      ...payloads,
    )) as ['submitted' | 'replayed', string] | ['idempotency_conflict' | 'queue_full', undefined];
    return answer === 'submitted' || answer === 'replayed' ? { answer, batchId: batchId ?? '' } : { answer };
  }

  async register({
    tenantId,
    task,
    call,
  }: Parameters<TaskRecords['register']>[0]): ReturnType<TaskRecords['register']> {
    const request = {
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
      JSON.stringify(task.payload),
    );
    const { answer, ...stored } = this.stored(tenantId, reply) as Extract<SubmitAnswer, { task: Task }>;
    return { ...stored, answer: (answer as string) === 'registered' ? 'registered' : 'replayed' };
  }

  async redrive({
    tenantId,
    taskId,
    newTaskId,
  }: Parameters<TaskRecords['redrive']>[0]): ReturnType<TaskRecords['redrive']> {
    // What a task is made of never changes: it is read first, and the step itself looks at its state.
    const reply = await this.state.run(tenantId, 'get', taskId);
    const [old] = reply as [Reply];
    if (old === null) return { answer: 'not_found' };
    const { head, payload } = readTask(old);
    const task: NewTask = {
      task_id: newTaskId,
      type: head.type,
      priority: head.priority,
      payload,
      metadata: head.metadata,
      timeoutMs: head.timeout,
      maxAttempts: head.attempts,
      ...(head.session_id !== undefined && { session_id: head.session_id }),
      ...(head.agent_id !== undefined && { agent_id: head.agent_id }),
      ...(head.parent_task_id !== undefined && { parent_task_id: head.parent_task_id }),
      ...(head.requested_by !== undefined && { requested_by: head.requested_by }),
    };
    const [answer, view] = (await this.state.change(
      tenantId,
      'redrive',
      JSON.stringify({ id: taskId, task: itemOf({ task, onBusy: 'enqueue' }, { redrivenFrom: taskId }) }),
      JSON.stringify(payload),
    )) as ['redriven', Reply] | ['not_failed' | 'not_found'];
    return answer === 'redriven' ? { answer, task: viewTask(tenantId, readTask(view)) } : { answer };
  }

  private stored(tenantId: string, reply: Reply): SubmitAnswer {
    const [answer, task, seq, epoch] = reply as [string, Reply, number, string];
    if (!task) return { answer: answer as SubmitRefusal };
    return {
      answer: answer as 'submitted' | 'replayed',
      task: viewTask(tenantId, readTask(task)),
      cursor: cursorOf(epoch, seq),
    };
  }
}

function plainArguments({ tenantId, items }: BatchPart<PlainTask>) {
  let least = Number.MAX_SAFE_INTEGER;
  const [first] = items;
  const type = items.every(({ task }) => task.type === first?.task.type) ? (first?.task.type ?? '') : '';
  const args: (string | number)[] = [items.length, least, type];
  for (const { task, head, payload, maxWaiting } of items) {
    least = Math.min(least, maxWaiting);
    const tail = `${JSON.stringify(head).slice(1)}\n${payload}`;
    args.push(task.task_id, 9 - task.priority, tail, task.timeoutMs, createdData(task));
  }
  args[1] = least;
  return { tenantId, args };
}

/** Whether nothing keeps a task from being claimed, and nothing but itself is stored. */
function isPlain({ task, message }: Submission): boolean {
  return task.session_id === undefined && task.runAt === undefined && !message;
}

function keyOf(idempotency: Idempotency | undefined): { key?: string; fingerprint?: string } {
  if (!idempotency) return {};
  const fingerprint = createHash('sha256').update(idempotency.fingerprint).digest('base64url');
  return { key: idempotency.key, fingerprint };
}

/** Data of the event that tells of a new task, as JSON. */
function createdData(task: NewTask): string {
  return JSON.stringify({
    type: task.type,
    priority: task.priority,
    ...(task.session_id !== undefined && { session_id: task.session_id }),
  });
}

function itemOf({ task, onBusy, message }: Submission, origin: TaskOrigin = {}) {
  const parallel = task.session_id !== undefined && onBusy === 'parallel';
  return {
    id: task.task_id,
    type: task.type,
    priority: task.priority,
    timeout: task.timeoutMs,
    tail: taskTail(task, { ...origin, parallel }),
    data: createdData(task),
    on_busy: onBusy,
    ...(task.runAt !== undefined && { run_at: task.runAt }),
    ...(task.session_id !== undefined && { session: task.session_id }),
    ...(task.agent_id !== undefined && { agent: task.agent_id }),
    ...(message && {
      message_id: message.message_id,
      message: storedMessage({ ...message, task_id: task.task_id }),
    }),
  };
}

function batchItem(item: BatchSubmission['items'][number], batchId: string) {
  if ('error' in item) return { error: JSON.stringify(item.error) };
  const { session_id } = item.task;
  const refusal = (code: string, state: string) =>
    JSON.stringify({ code, message: `session "${session_id}" is ${state}`, retryable: false });
  return {
    ...itemOf(item, { batchId }),
    ...(session_id !== undefined && {
      refusals: {
        session_closed: refusal('session_closed', 'closed'),
        session_busy: refusal('session_busy', 'busy with another task'),
      },
    }),
  };
}

import {
  type JsonValue,
  type NewTask,
  OrchestratorError,
  plainCopy,
  type SubmitAnswer,
  type SubmitRefusal,
  type Task,
  type TaskRecords,
} from '@agent-orchestrator/core';
import { cursorOf } from './epoch.js';
import { keyOf } from './idempotency.js';
import { type BatchPart, MicroBatch, type PartOutcome } from './micro-batch.js';
import { isPlain, itemOf } from './new-items.js';
import type { OwnSubmissions } from './own-submissions.js';
import type { RedisState } from './redis-state.js';
import type { Reply } from './script-runner.js';
import { TaskHeads, type WrittenHead } from './task-heads.js';
import { readTask, recordOf, viewTask } from './task-view.js';

interface PlainTask {
  readonly task: NewTask;
  readonly written: WrittenHead;
  /** JSON. */
  readonly payload: string;
  /** What that is read as, where it is plain. */
  readonly copy: JsonValue | undefined;
  readonly record: string;
  readonly maxWaiting: number;
}

interface Born {
  readonly at: number;
  readonly place: number;
  /** When the log began. */
  readonly began: string;
}

/** So many characters cost a script more than a command of their own does: Lua looks at each of them. */
const MUCH_TEXT = 4_096;
/** What the script takes for the mark of what was stored before, when nothing was. */
const NO_MARK = '';

type PlainAnswer = Born | 'known' | 'queue_full';

/** How tasks come to be: submitted, registered, or redriven; see also batches. */
export class Submissions {
  readonly #heads = new TaskHeads();
  readonly #plain: MicroBatch<PlainTask, PlainAnswer>;

  constructor(
    private readonly state: RedisState,
    private readonly own: OwnSubmissions,
  ) {
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
      const written = this.#heads.of(task);
      const payload = JSON.stringify(task.payload);
      const record = recordOf(written.tail, payload);
      const plain = { task, written, payload, copy: plainCopy(task.payload), record, maxWaiting };
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
  #born(
    tenantId: string,
    { task, written, payload, copy }: PlainTask,
    { at, place, began }: Born,
  ): SubmitAnswer | Promise<SubmitAnswer> {
    const { task_id: taskId } = task;
    const stored = { at, place, ...written.head };
    if (this.state.ends.isFollowed) this.own.note(tenantId, taskId, { head: stored, payload });
    const view = viewTask(tenantId, {
      taskId,
      head: stored,
      payload: copy ?? (JSON.parse(payload) as JsonValue),
      state: { state: 'ready', since: at, attempt: 0, rev: 1 },
      outcome: undefined,
      steps: [],
    });
    const submitted = (epoch: string | null): SubmitAnswer => ({
      answer: 'submitted',
      task: view,
      cursor: cursorOf(epoch, place),
    });
    const epoch = this.state.epochs.of(tenantId, began);
    return typeof epoch === 'string' ? submitted(epoch) : epoch.then(submitted);
  }

  async #sendPlain(parts: readonly BatchPart<PlainTask>[]): Promise<readonly PartOutcome<PlainAnswer>[]> {
    const answers = (await this.#store(parts)) ?? (await this.#sendWhole(parts));
    return answers.map((answer) => {
      if (answer instanceof OrchestratorError) return answer;
      const { at, outcome } = answer;
      const [began, ...places] = outcome as [string, ...number[]];
      return places.map((place) => (place > 0 ? { at, place, began } : place === 0 ? 'known' : 'queue_full'));
    });
  }

  /** Much text goes by the script. Nothing when it did not, since there is one of the tasks already. */
  async #store(parts: readonly BatchPart<PlainTask>[]) {
    const values: string[] = [];
    let length = 0;
    for (const { tenantId, items } of parts) {
      // Of those with the same id the script has to refuse the second.
      if (!areDistinct(items)) return undefined;
      for (const { task, record } of items) {
        values.push(this.state.keys.task(tenantId, task.task_id), record);
        length += record.length;
      }
    }
    if (length < MUCH_TEXT) return undefined;
    return this.state.storeMany('submitPlain', values, parts.map(plainArguments(NO_RECORD)));
  }

  #sendWhole(parts: readonly BatchPart<PlainTask>[]) {
    return this.state.changeMany('submitPlain', parts.map(plainArguments(({ record }) => record)), [NO_MARK]);
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

const NO_RECORD = () => '';

function areDistinct(items: readonly PlainTask[]): boolean {
  return items.length === 1 || new Set(items.map(({ task }) => task.task_id)).size === items.length;
}

function plainArguments(recordOf: (item: PlainTask) => string) {
  return ({ tenantId, items }: BatchPart<PlainTask>) => {
    let least = Number.MAX_SAFE_INTEGER;
    const [first] = items;
    const type = items.every(({ task }) => task.type === first?.task.type) ? (first?.task.type ?? '') : '';
    const args: (string | number)[] = [items.length, least, type];
    for (const item of items) {
      const { task, written, maxWaiting } = item;
      least = Math.min(least, maxWaiting);
      args.push(task.task_id, 9 - task.priority, recordOf(item), task.timeoutMs, written.data);
    }
    args[1] = least;
    return { tenantId, args };
  };
}

import {
  fieldText,
  type NewTask,
  OrchestratorError,
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
import {
  NO_STEPS,
  NOT_TOUCHED,
  readTask,
  recordOf,
  type StoredState,
  type StoredTask,
  type TaskHead,
  TaskView,
} from './task-view.js';

/** A class, as everything that holds what passes by quickly: see ADR 10. */
class PlainTask {
  /** JSON. */
  readonly payload: string;
  readonly record: string;

  constructor(
    readonly task: NewTask,
    readonly written: WrittenHead,
    readonly maxWaiting: number,
  ) {
    this.payload = fieldText(task, 'payload');
    this.record = recordOf(written.tail, this.payload);
  }
}

class Born {
  /** @param began when the log began. */
  constructor(
    readonly at: number,
    readonly place: number,
    readonly began: string,
  ) {}
}

/** A task that was just stored, as the adapter knows it without asking. */
class BornTask implements StoredTask {
  readonly taskId: string;
  readonly head: TaskHead;
  readonly payload: string;
  readonly state: StoredState;
  readonly steps: readonly never[] = NO_STEPS;

  constructor({ task, written, payload }: PlainTask, { at, place }: Born) {
    this.taskId = task.task_id;
    this.head = { at, place, ...written.head };
    this.payload = payload;
    this.state = { ...NOT_TOUCHED, since: at };
  }
}

class Submitted {
  readonly answer = 'submitted';

  constructor(
    readonly task: Task,
    readonly cursor: string,
  ) {}
}

/** So many characters cost a script more than a command of their own does: Lua looks at each of them. */
const MUCH_TEXT = 4_096;
/** More than a journal has portions, even if its copy expires half done now and then. */
const MAX_STAGING = 10_000;
/** What the script takes for the mark of what was stored before, when nothing was. */
const NO_MARK = '';

type Redriven = ['redriven', Reply] | ['not_failed' | 'not_found' | 'queue_full'];
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
      const plain = new PlainTask(task, this.#heads.of(task), maxWaiting);
      const answer = await this.#plain.add(tenantId, plain);
      if (answer === 'queue_full') return this.#refused(tenantId, answer);
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
      fieldText(task, 'payload'),
    );
    return this.stored(tenantId, reply);
  }

  #born(tenantId: string, plain: PlainTask, born: Born): SubmitAnswer | Promise<SubmitAnswer> {
    const { place, began } = born;
    const stored = new BornTask(plain, born);
    if (this.state.ends.isFollowed) {
      const { head, taskId } = stored;
      this.own.note(tenantId, taskId, { head, payload: plain.payload });
    }
    const view = new TaskView(tenantId, stored);
    const epoch = this.state.epochs.of(tenantId, began);
    return typeof epoch === 'string'
      ? new Submitted(view, cursorOf(epoch, place))
      : epoch.then((asked) => new Submitted(view, cursorOf(asked, place)));
  }

  async #sendPlain(parts: readonly BatchPart<PlainTask>[]): Promise<readonly PartOutcome<PlainAnswer>[]> {
    const answers = (await this.#store(parts)) ?? (await this.#sendWhole(parts));
    return answers.map((answer) => {
      if (answer instanceof OrchestratorError) return answer;
      const { at, outcome } = answer;
      const [began, ...places] = outcome as [string, ...number[]];
      return places.map((place) =>
        place > 0 ? new Born(at, place, began) : place === 0 ? 'known' : 'queue_full',
      );
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
    maxWaiting,
  }: Parameters<TaskRecords['register']>[0]): ReturnType<TaskRecords['register']> {
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
    if (!('task' in stored)) return { answer: 'queue_full' };
    return { ...stored, answer: (stored.answer as string) === 'registered' ? 'registered' : 'replayed' };
  }

  async redrive({
    tenantId,
    taskId,
    newTaskId,
    maxWaiting,
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
      payload: null,
      metadata: head.metadata,
      timeoutMs: head.timeout,
      maxAttempts: head.attempts,
      ...(head.session_id !== undefined && { session_id: head.session_id }),
      ...(head.agent_id !== undefined && { agent_id: head.agent_id }),
      ...(head.parent_task_id !== undefined && { parent_task_id: head.parent_task_id }),
      ...(head.requested_by !== undefined && { requested_by: head.requested_by }),
    };
    const request = {
      id: taskId,
      task: itemOf({ task, onBusy: 'enqueue' }, { redrivenFrom: taskId }),
      max_waiting: Math.min(maxWaiting, Number.MAX_SAFE_INTEGER),
    };
    const [answer, view] = await this.#redriven(tenantId, taskId, [JSON.stringify(request), payload]);
    if (answer === 'queue_full') this.state.tellAtLimit(tenantId);
    return answer === 'redriven' ? { answer, task: new TaskView(tenantId, readTask(view)) } : { answer };
  }

  /** A large journal is copied in steps of its own first, at most one for each change; whoever copies too goes on with it. */
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

  #refused(tenantId: string, answer: SubmitRefusal): SubmitAnswer {
    if (answer === 'queue_full') this.state.tellAtLimit(tenantId);
    return { answer };
  }

  private stored(tenantId: string, reply: Reply): SubmitAnswer {
    const [answer, task, seq, epoch] = reply as [string, Reply, number, string];
    if (!task) return this.#refused(tenantId, answer as SubmitRefusal);
    return {
      answer: answer as 'submitted' | 'replayed',
      task: new TaskView(tenantId, readTask(task)),
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

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
import { type BatchPart, MicroBatch, type PartOutcome } from '../scripts/micro-batch.js';
import { isFast, itemOf } from './new-items.js';
import type { RecentSubmissions } from './recent-submissions.js';
import type { RedisState } from '../scripts/tenant-steps.js';
import type { Reply } from '../scripts/script-runner.js';
import { HeaderCache, type WrittenHeader } from './header-cache.js';
import {
  NO_STEPS,
  NOT_TOUCHED,
  readTask,
  recordOf,
  type StoredState,
  type StoredTask,
  type TaskHeader,
  TaskView,
} from './task-codec.js';

/** A class, like all short-lived values: see ADR 10. */
class FastTask {
  /** JSON. */
  readonly payload: string;
  readonly record: string;

  constructor(
    readonly task: NewTask,
    readonly written: WrittenHeader,
    readonly maxWaiting: number,
  ) {
    this.payload = fieldText(task, 'payload');
    this.record = recordOf(written.tail, this.payload);
  }
}

class Created {
  /** @param epochStart creation time of the log. */
  constructor(
    readonly at: number,
    readonly sequence: number,
    readonly epochStart: string,
  ) {}
}

/** A task that was just stored, known without a read. */
class CreatedTask implements StoredTask {
  readonly taskId: string;
  readonly header: TaskHeader;
  readonly payload: string;
  readonly state: StoredState;
  readonly steps: readonly never[] = NO_STEPS;

  constructor({ task, written, payload }: FastTask, { at, sequence }: Created) {
    this.taskId = task.task_id;
    this.header = { at, sequence, ...written.header };
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

/** Characters that cost a script more than a separate command: Lua reads each of them. */
const MUCH_TEXT = 4_096;
/** More than the portions of a journal, even if its copy expires half done now and then. */
const MAX_STAGING = 10_000;
/** Marker argument of a script when nothing was stored before. */
const NO_MARK = '';

type Redriven = ['redriven', Reply] | ['not_failed' | 'not_found' | 'queue_full'];
type FastAnswer = Created | 'known' | 'queue_full';

/** Creation of tasks: submitted, registered, or redriven; see also batches. */
export class Submissions {
  readonly #headers = new HeaderCache();
  readonly #fast: MicroBatch<FastTask, FastAnswer>;

  constructor(
    private readonly state: RedisState,
    private readonly recent: RecentSubmissions,
  ) {
    this.#fast = new MicroBatch({
      acrossTenants: !state.parts.isCluster,
      send: (parts) => this.#sendFast(parts),
    });
  }

  async submit(params: SubmitParams): Promise<SubmitAnswer> {
    this.state.checkOpen();
    const { tenantId, submission, idempotency, maxWaiting } = params;
    if (!idempotency && isFast(submission)) {
      const { task } = submission;
      const fast = new FastTask(task, this.#headers.of(task), maxWaiting);
      const answer = await this.#fast.add(tenantId, fast);
      if (answer === 'queue_full') return this.#refused(tenantId, answer);
      if (answer !== 'known') return this.#created(tenantId, fast, answer);
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

  #created(tenantId: string, fast: FastTask, created: Created): SubmitAnswer | Promise<SubmitAnswer> {
    const { sequence, epochStart } = created;
    const stored = new CreatedTask(fast, created);
    if (this.state.completions.isFollowed) {
      const { header, taskId } = stored;
      this.recent.remember(tenantId, taskId, { header, payload: fast.payload });
    }
    const view = new TaskView(tenantId, stored);
    const epoch = this.state.epochs.of(tenantId, epochStart);
    return typeof epoch === 'string'
      ? new Submitted(view, cursorOf(epoch, sequence))
      : epoch.then((fetched) => new Submitted(view, cursorOf(fetched, sequence)));
  }

  async #sendFast(parts: readonly BatchPart<FastTask>[]): Promise<readonly PartOutcome<FastAnswer>[]> {
    const answers = (await this.#store(parts)) ?? (await this.#sendWhole(parts));
    return answers.map((answer) => {
      if (answer instanceof OrchestratorError) return answer;
      const { at, outcome } = answer;
      const [epochStart, ...sequences] = outcome as [string, ...number[]];
      return sequences.map((sequence) =>
        sequence > 0 ? new Created(at, sequence, epochStart) : sequence === 0 ? 'known' : 'queue_full',
      );
    });
  }

  /** Stores large tasks outside the script. Nothing when one of the tasks exists already. */
  async #store(parts: readonly BatchPart<FastTask>[]) {
    const values: string[] = [];
    let length = 0;
    for (const { tenantId, items } of parts) {
      // Of two tasks with the same id the script has to refuse the second.
      if (!areDistinct(items)) return undefined;
      for (const { task, record } of items) {
        values.push(this.state.keys.task(tenantId, task.task_id), record);
        length += record.length;
      }
    }
    if (length < MUCH_TEXT) return undefined;
    return this.state.storeMany('submitFast', values, parts.map(fastArguments(NO_RECORD)));
  }

  #sendWhole(parts: readonly BatchPart<FastTask>[]) {
    return this.state.changeMany('submitFast', parts.map(fastArguments(({ record }) => record)), [NO_MARK]);
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
    if (!('task' in stored)) return { answer: 'queue_full' };
    return { ...stored, answer: (stored.answer as string) === 'registered' ? 'registered' : 'replayed' };
  }

  async redrive({ tenantId, taskId, newTaskId, maxWaiting }: RedriveParams): Promise<RedriveResult> {
    // A task's record never changes: it is read first, and the step itself checks the state.
    const reply = await this.state.run(tenantId, 'get', taskId);
    const [old] = reply as [Reply];
    if (old === null) return { answer: 'not_found' };
    const { header, payload } = readTask(old);
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
      ...(header.requested_by !== undefined && { requested_by: header.requested_by }),
    };
    const request = {
      id: taskId,
      task: itemOf({ task, onBusy: 'enqueue' }, { redrivenFrom: taskId }),
      max_waiting: Math.min(maxWaiting, Number.MAX_SAFE_INTEGER),
    };
    const [answer, view] = await this.#redriven(tenantId, taskId, [JSON.stringify(request), payload]);
    if (answer === 'queue_full') this.state.publishAtLimit(tenantId);
    return answer === 'redriven' ? { answer, task: new TaskView(tenantId, readTask(view)) } : { answer };
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

  #refused(tenantId: string, answer: SubmitRefusal): SubmitAnswer {
    if (answer === 'queue_full') this.state.publishAtLimit(tenantId);
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

function areDistinct(items: readonly FastTask[]): boolean {
  return items.length === 1 || new Set(items.map(({ task }) => task.task_id)).size === items.length;
}

function fastArguments(recordOf: (item: FastTask) => string) {
  return ({ tenantId, items }: BatchPart<FastTask>) => {
    let minWaiting = Number.MAX_SAFE_INTEGER;
    const [first] = items;
    const type = items.every(({ task }) => task.type === first?.task.type) ? (first?.task.type ?? '') : '';
    const args: (string | number)[] = [items.length, minWaiting, type];
    for (const item of items) {
      const { task, written, maxWaiting } = item;
      minWaiting = Math.min(minWaiting, maxWaiting);
      args.push(task.task_id, 9 - task.priority, recordOf(item), task.timeoutMs, written.data);
    }
    args[1] = minWaiting;
    return { tenantId, args };
  };
}

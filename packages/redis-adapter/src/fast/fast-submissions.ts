import { OrchestratorError, type Task } from '@agent-orchestrator/core';
import { fieldText } from '@agent-orchestrator/core/protocol';
import type { NewTask, SubmitAnswer, SubmitParams } from '@agent-orchestrator/core/storage';
import { cursorOf } from '../scripts/epoch.js';
import type { RedisState } from '../scripts/tenant-steps.js';
import type { RecentSubmissions } from '../tasks/recent-submissions.js';
import type { Submissions } from '../tasks/submissions.js';
import {
  NO_STEPS,
  NOT_TOUCHED,
  recordOf,
  type StoredState,
  type StoredTask,
  type TaskHeader,
  TaskView,
} from '../tasks/task-codec.js';
import { HeaderCache, type WrittenHeader } from './header-cache.js';
import { isFastSubmission } from './is-fast.js';
import { type BatchPart, MicroBatch, type PartOutcome } from './micro-batch.js';

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
/** Marker argument of a script when nothing was stored before. */
const NO_MARK = '';

type FastAnswer = Created | 'known' | 'queue_full';

/** Submission of tasks: fast ones are stored many at a time, others one by one. */
export class FastSubmissions {
  readonly #headers = new HeaderCache();
  readonly #fast: MicroBatch<FastTask, FastAnswer>;

  constructor(
    private readonly state: RedisState,
    private readonly recent: RecentSubmissions,
    private readonly oneByOne: Submissions,
  ) {
    this.#fast = new MicroBatch({
      acrossTenants: state.parts.topology.stepsSpanTenants,
      send: (parts) => this.#sendFast(parts),
    });
  }

  async submit(params: SubmitParams): Promise<SubmitAnswer> {
    this.state.checkOpen();
    const { tenantId, submission, maxWaiting } = params;
    if (!isFastSubmission(params)) return this.oneByOne.submit(params);
    const { task } = submission;
    const fast = new FastTask(task, this.#headers.of(task), maxWaiting);
    const answer = await this.#fast.add(tenantId, fast);
    // Only the full step compares a task with the one that has its id.
    if (answer === 'known') return this.oneByOne.submit(params);
    if (answer !== 'queue_full') return this.#created(tenantId, fast, answer);
    this.state.publishAtLimit(tenantId);
    return { answer };
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

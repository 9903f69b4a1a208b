import { type Clock, systemClock } from '../runtime/clock.js';
import { boundedJson } from '../protocol/bounded-json.js';
import { OrchestratorError, type TaskError } from '../protocol/errors.js';
import { toTaskError } from '../protocol/thrown.js';
import { idSchema, jobIdSchema, nameSchema, uuidSchema } from '../protocol/ids.js';
import type { JsonValue } from '../protocol/json.js';
import { DEFAULTS } from '../protocol/settings.js';
import {
  type Batch,
  batchSubmissionSchema,
  pageCursorSchema,
  type Progress,
  progressSchema,
  type Task,
  type TaskStatus,
} from '../protocol/task.js';
import { describe, validate } from '../protocol/validation.js';
import { type Random, systemRandom } from '../runtime/random.js';
import type { Storage } from '../storage/storage.js';
import type { Explanation, Submission, SubmitAnswer } from '../storage/task-records.js';
import { AnnouncedTypes } from './announced-types.js';
import { refuseEndedOtherwise } from './ended-otherwise.js';
import {
  fromBatchItem,
  fromChatRequest,
  fromTaskSubmission,
  idempotencyOf,
  type ReadSubmission,
  refusalError,
  type TaskTypes,
  withDefaults,
} from './new-task.js';
import { refuseSignal } from './refuse-signal.js';
import { type TaskPageQuery, taskPageOf } from './task-page.js';
import { TaskWatch } from './task-watch.js';

export interface RegistryOptions {
  readonly storage: Storage;
  /** Which types are run here. Without it, those that workers have announced to the storage. */
  readonly types?: TaskTypes;
  readonly clock?: Clock;
  readonly random?: Random;
  /** Waiting tasks of a tenant before `queue_full`. Default 200,000. */
  readonly maxWaiting?: number;
}

/** A task that is stored. `cursor` is a position of the log at which the task looked just so. */
export interface Accepted {
  readonly task: Task;
  /** The same `Idempotency-Key` or `task_id` was there before. */
  readonly replayed: boolean;
  readonly cursor: string;
}

/** A body as it comes over the wire, of a tenant; the same key is the same request. */
interface Request {
  readonly tenantId: string;
  readonly body: unknown;
  readonly idempotencyKey?: string | undefined;
}

interface InTask {
  readonly tenantId: string;
  readonly taskId: string;
}

/** Keeps the state of every task, whoever works on it. Stands alone over any storage. */
export class GlobalTaskRegistry {
  readonly #storage: Storage;
  readonly #types: TaskTypes | undefined;
  readonly #random: Random;
  readonly #newId = () => this.#random.uuid();
  readonly #maxWaiting: number;
  readonly #watch: TaskWatch;
  readonly #announced: AnnouncedTypes;

  constructor(options: RegistryOptions) {
    this.#storage = options.storage;
    this.#types = options.types;
    this.#random = options.random ?? systemRandom;
    this.#maxWaiting = options.maxWaiting ?? DEFAULTS.maxWaiting;
    const { storage, clock = systemClock } = options;
    this.#announced = new AnnouncedTypes({ storage, clock });
    this.#watch = new TaskWatch({ storage, clock });
  }

  /**
   * Stores a task; once this resolves it is not lost. `body` is that of `POST /v1/tasks`.
   * @throws {OrchestratorError} `invalid_request`, `unknown_workflow`, `queue_full`, `session_busy`, `session_closed`,
   * `idempotency_conflict`, `conflict`
   */
  submit(params: Request): Promise<Accepted> {
    return this.#store(params, 'task', fromTaskSubmission);
  }

  /** Stores a message and the task that answers it, in one step. `body` is that of `POST /v1/chat`. */
  chat(params: Request): Promise<Accepted> {
    return this.#store(params, 'chat', fromChatRequest);
  }

  async #store(params: Request, kind: string, read: typeof fromTaskSubmission): Promise<Accepted> {
    const complete = this.#complete(read(params.body, this.#newId));
    const submission = complete instanceof Promise ? await complete : complete;
    const { tenantId } = params;
    const { task_id: taskId } = submission.task;
    const idempotency = idempotencyOf(params.idempotencyKey, kind, params.body);
    this.#watch.expect(tenantId, taskId);
    const answer: SubmitAnswer = await this.#storage.tasks.submit({
      tenantId,
      submission,
      maxWaiting: this.#maxWaiting,
      idempotency,
    });
    if (!('task' in answer)) throw refusalError(answer.answer);
    if (answer.answer === 'submitted') this.#watch.confirm(tenantId, taskId, answer.cursor);
    return { task: answer.task, replayed: answer.answer === 'replayed', cursor: answer.cursor };
  }

  /** Stores many requests under one handle; a bad one fails alone. `body` is that of `POST /v1/batch`. */
  async submitBatch(params: Request): Promise<{ readonly batch: Batch; readonly replayed: boolean }> {
    const { requests, max_in_flight, fail_fast } = validate(batchSubmissionSchema, params.body, 'batch');
    const items: (Submission | { readonly error: TaskError })[] = [];
    for (const request of requests) items.push(await this.#batchItem(request));
    const batch = {
      batchId: this.#random.uuid(),
      maxInFlight: max_in_flight ?? requests.length,
      failFast: fail_fast ?? false,
      items,
    };
    const answer = await this.#storage.tasks.submitBatch({
      tenantId: params.tenantId,
      batch,
      maxWaiting: this.#maxWaiting,
      idempotency: idempotencyOf(params.idempotencyKey, 'batch', params.body),
    });
    if (!('batch' in answer)) throw refusalError(answer.answer);
    return { batch: answer.batch, replayed: answer.answer === 'replayed' };
  }

  async #batchItem(request: JsonValue): Promise<Submission | { readonly error: TaskError }> {
    try {
      return await this.#complete(fromBatchItem(request, this.#newId));
    } catch (error) {
      if (error instanceof OrchestratorError) return { error: toTaskError(error) };
      throw error;
    }
  }

  /** How far a batch is, and a page of its items: of 1 MiB, unless one is larger; without results unless they are asked for. */
  async getBatch(params: {
    readonly tenantId: string;
    readonly batchId: string;
    readonly results?: boolean | undefined;
    /** The `next` of the page before. */
    readonly after?: string | undefined;
  }): Promise<Batch> {
    const { tenantId, batchId, results = false, after } = params;
    const from = after === undefined ? {} : { after: validate(pageCursorSchema, after, 'cursor') };
    const batch = await this.#storage.tasks.getBatch({ tenantId, batchId, results, ...from });
    if (!batch) throw new OrchestratorError('not_found', `no batch ${describe(batchId)}`);
    return batch;
  }

  async cancelBatch({
    tenantId,
    batchId,
    reason,
    signal,
  }: {
    readonly tenantId: string;
    readonly batchId: string;
    readonly reason?: string | undefined;
    /** Once it fires, what is left is cancelled by the sweeper. */
    readonly signal?: AbortSignal;
  }): Promise<Batch> {
    const why = reason ?? 'the batch was cancelled';
    const batch = await this.#storage.tasks.cancelBatch({
      tenantId,
      batchId,
      reason: why,
      graceMs: DEFAULTS.cancelGraceMs,
      ...(signal && { signal }),
    });
    if (!batch) throw new OrchestratorError('not_found', `no batch ${describe(batchId)}`);
    return batch;
  }

  /**
   * Registers work that somebody else does: tracked, reported on, timed out, cancelled and followed like any task, but
   * never queued. With `service` and `job_id` the outcome that the service reports ends it, else `finish` does.
   */
  async register(params: {
    readonly tenantId: string;
    readonly taskId?: string;
    readonly type: string;
    readonly sessionId?: string;
    readonly payload?: JsonValue;
    readonly timeoutMs?: number;
    readonly service?: string;
    readonly jobId?: string;
    /** Default `run`. */
    readonly operation?: string;
    /** How long the service may be silent. Default: until the task's own limit. */
    readonly silenceMs?: number;
  }): Promise<Accepted> {
    const { tenantId, service, jobId, operation = 'run' } = params;
    const body = {
      type: params.type,
      payload: params.payload ?? {},
      session_id: params.sessionId,
      task_id: params.taskId,
      ...(params.timeoutMs !== undefined && { metadata: { timeout_ms: params.timeoutMs } }),
    };
    const { task } = fromTaskSubmission(body, () => this.#random.uuid());
    const call = service !== undefined && {
      callId: this.#random.uuid(),
      service: validate(idSchema, service, 'service'),
      operation: validate(nameSchema, operation, 'operation'),
      jobId: validate(jobIdSchema, jobId, 'job_id'),
      silenceMs: params.silenceMs ?? task.timeoutMs,
    };
    const registered = await this.#storage.tasks.register({
      tenantId,
      task,
      maxWaiting: this.#maxWaiting,
      ...(call && { call }),
    });
    if (registered.answer === 'queue_full') throw refusalError(registered.answer);
    return { task: registered.task, replayed: registered.answer === 'replayed', cursor: registered.cursor };
  }

  /** Ends a registered task. The first outcome stays: ending it again returns it as it is. */
  async finish(
    params: InTask & ({ readonly result: JsonValue } | { readonly error: TaskError }),
  ): Promise<Task> {
    const { tenantId, taskId } = params;
    const outcome =
      'result' in params
        ? { kind: 'completed' as const, result: params.result }
        : { kind: 'failed' as const, error: params.error };
    const finished = await this.#storage.tasks.finish({ tenantId, taskId, outcome });
    if (finished.answer === 'not_found') throw unknownTask(taskId);
    if (finished.answer === 'not_tracked') {
      throw new OrchestratorError('conflict', `task ${taskId} has a workflow, which ends it`, {
        retryable: false,
      });
    }
    return finished.task;
  }

  /**
   * Reports how far a registered task is.
   * @throws {OrchestratorError} `not_found`, `invalid_request`
   */
  async progress({ tenantId, taskId, ...reported }: InTask & Progress): Promise<void> {
    const progress = validate(progressSchema, reported, 'progress');
    const told = await this.#storage.tasks.progress({ tenantId, taskId, progress });
    if (told.answer === 'not_found') throw unknownTask(taskId);
  }

  /** @throws {OrchestratorError} `not_found`, for foreign tasks just as for absent ones. */
  async get({ tenantId, taskId }: InTask): Promise<Task> {
    return (await this.locate({ tenantId, taskId })).task;
  }

  /** A task with the log's position at that moment, and the position just before its first event. */
  async locate({
    tenantId,
    taskId,
  }: InTask): Promise<{ readonly task: Task; readonly cursor: string; readonly startCursor: string }> {
    const id = uuidSchema.safeParse(taskId);
    if (!id.success) {
      throw new OrchestratorError('invalid_request', `task_id: expected a UUID v4, got ${describe(taskId)}`);
    }
    const found = await this.#storage.tasks.get({ tenantId, taskId: id.data });
    if (!found) throw unknownTask(taskId);
    return found;
  }

  /**
   * Newest first, 50 a page unless told. A page may have fewer than `limit`, even none, and a `next` all the same: it looks at 1,000
   * tasks at most, and has at most 1 MiB unless its only task is larger.
   */
  async list(query: TaskPageQuery): Promise<{ readonly tasks: readonly Task[]; readonly next?: string }> {
    return this.#storage.tasks.list(taskPageOf(query));
  }

  async counts({ tenantId }: { readonly tenantId: string }): Promise<Readonly<Record<TaskStatus, number>>> {
    return (await this.#storage.tasks.counts({ tenantId })).counts;
  }

  /**
   * Ends a task that no worker runs at once; a worker that runs it has the grace of 30 s. A cancelled task stays as it is.
   * @throws {OrchestratorError} `not_found`, `conflict` when it has completed or failed
   */
  async cancel({
    tenantId,
    taskId,
    reason,
  }: InTask & { readonly reason?: string | undefined }): Promise<Task> {
    const why = reason ?? 'cancelled by the caller';
    await this.locate({ tenantId, taskId });
    const cancelled = await this.#storage.tasks.cancel({
      tenantId,
      taskId,
      reason: why,
      graceMs: DEFAULTS.cancelGraceMs,
    });
    if (cancelled.answer === 'not_found') throw unknownTask(taskId);
    if (cancelled.answer === 'already_final') refuseEndedOtherwise(cancelled.task);
    return cancelled.task;
  }

  /**
   * The same key again, within the task's life, is the same signal.
   * @throws {OrchestratorError} `not_found`, `idempotency_conflict`, `conflict` when the task has ended, `rate_limited` when 100 signals wait.
   */
  async signal(
    params: InTask & {
      readonly name: string;
      readonly payload?: JsonValue | undefined;
      readonly idempotencyKey?: string | undefined;
    },
  ): Promise<void> {
    const { tenantId, taskId, idempotencyKey } = params;
    const name = validate(nameSchema, params.name, 'name of a signal');
    const payload = boundedJson(params.payload, { what: 'payload', tooLarge: 'payload_too_large' });
    await this.locate({ tenantId, taskId });
    const idempotency = idempotencyOf(idempotencyKey, 'signal', { name, payload });
    const signalId = idempotency?.key ?? this.#random.uuid();
    const fingerprint = idempotency?.fingerprint;
    const asked = { tenantId, taskId, name, payload, signalId, fingerprint };
    const { answer } = await this.#storage.tasks.signal(asked);
    if (answer === 'not_found') throw unknownTask(taskId);
    refuseSignal(answer, taskId);
  }

  /** A failed task as a new one, which takes over the successes of the old journal. Again is the same new task. */
  async redrive({ tenantId, taskId }: InTask): Promise<Task> {
    await this.locate({ tenantId, taskId });
    const redriven = await this.#storage.tasks.redrive({
      tenantId,
      taskId,
      newTaskId: this.#random.uuid(),
      maxWaiting: this.#maxWaiting,
    });
    if (redriven.answer === 'queue_full') throw refusalError(redriven.answer);
    if (redriven.answer === 'redriven') return redriven.task;
    if (redriven.answer === 'not_found') throw unknownTask(taskId);
    throw new OrchestratorError('conflict', `task ${taskId}: expected a failed one`, { retryable: false });
  }

  /** Why a task is not running, or that it is. */
  async explain({ tenantId, taskId }: InTask): Promise<Explanation> {
    await this.locate({ tenantId, taskId });
    const explanation = await this.#storage.tasks.explain({ tenantId, taskId });
    if (!explanation) throw unknownTask(taskId);
    return explanation;
  }

  /** The final task; or the task as it is once `timeoutMs` (default: none) is over or `signal` fires. */
  async wait(params: InTask & { readonly timeoutMs?: number; readonly signal?: AbortSignal }): Promise<Task> {
    const { timeoutMs } = params;
    if (timeoutMs !== undefined && !(typeof timeoutMs === 'number' && timeoutMs >= 0)) {
      throw new OrchestratorError(
        'invalid_request',
        `timeoutMs: expected 0 or more, got ${describe(timeoutMs)}`,
      );
    }
    const task = await this.#watch.wait(params);
    if (!task) throw unknownTask(params.taskId);
    return task;
  }

  /** Lets everybody go who waits. */
  close(): void {
    this.#watch.stop();
  }

  /** With the defaults of its type: those of this process, else what workers elsewhere have announced. */
  #complete(read: ReadSubmission): Submission | Promise<Submission> {
    const { type, payload } = read.task;
    this.#types?.checkPayload(type, payload);
    if (this.#types?.has(type)) return withDefaults(read, this.#types.defaults?.(type) ?? {});
    return this.#announced.defaults(type).then((defaults) => withDefaults(read, defaults));
  }
}

function unknownTask(taskId: string): OrchestratorError {
  return new OrchestratorError('not_found', `no task ${describe(taskId)}`);
}

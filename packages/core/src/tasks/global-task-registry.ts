import { type Clock, systemClock } from '../runtime/clock.js';
import { boundedJson } from '../protocol/bounded-json.js';
import { OrchestratorError, type TaskError } from '../protocol/errors.js';
import { inActiveTrace, tracedSubmit } from './traced-submit.js';
import { toTaskError } from '../protocol/thrown.js';
import { nameSchema, uuidSchema } from '../protocol/ids.js';
import type { JsonArgument, JsonValue } from '../protocol/json.js';
import { pageCursorSchema } from '../protocol/pages.js';
import { DEFAULTS } from '../protocol/settings.js';
import {
  type Batch,
  batchSubmissionSchema,
  type Progress,
  progressSchema,
  type Task,
  type TaskStatus,
} from '../protocol/task.js';
import { validateOnce } from '../protocol/validated.js';
import { describe, validate } from '../protocol/validation.js';
import { type Random, systemRandom } from '../runtime/random.js';
import type { Storage } from '../storage/storage.js';
import type { Explanation, GetTaskResult, Submission } from '../storage/task-records.js';
import { AnnouncedTypes } from './announced-types.js';
import { discardRefusal } from './refuse-redrive.js';
import { type Redriven, redrivePayload, type RedriveRequest, redriveTask } from './redrive-task.js';
import { refuseEnded } from './refuse-ended.js';
import {
  fromBatchItem,
  fromChatRequest,
  fromTaskSubmission,
  idempotencyOf,
  type ReadSubmission,
  refusalError,
  refusedWith,
  type TaskTypes,
  withDefaults,
} from './new-task.js';
import { readRegistration, type Registration } from './registration.js';
import type { RegistryOptions } from './registry-options.js';
import { refuseSignal } from './refuse-signal.js';
import { unknownTask } from './unknown-task.js';
import { type TaskPageQuery, taskPageOf } from './task-page.js';
import { TaskWatch } from './task-watch.js';

/** A stored task, as of `cursor` in the event log. */
export interface TaskReceipt {
  readonly task: Task;
  /** The `Idempotency-Key` or `task_id` was used before, for the same request. */
  readonly replayed: boolean;
  readonly cursor: string;
}

/** A request body of a tenant, validated unless `validateOwned` has done so, with its idempotency key. */
interface Request {
  readonly tenantId: string;
  readonly body: unknown;
  readonly idempotencyKey?: string | undefined;
}

interface InTask {
  readonly tenantId: string;
  readonly taskId: string;
}

/** Registry of all tasks, whether run by workers or by external systems. Usable on its own, over any storage. */
export class GlobalTaskRegistry {
  readonly #storage: Storage;
  readonly #types: TaskTypes | undefined;
  readonly #random: Random;
  readonly #clock: Clock;
  readonly #newId = () => this.#random.uuid();
  readonly #maxWaiting: number;
  readonly #watch: TaskWatch;
  readonly #announced: AnnouncedTypes;
  #submitted = 0;

  constructor(options: RegistryOptions) {
    this.#storage = options.storage;
    this.#types = options.types;
    this.#random = options.random ?? systemRandom;
    this.#maxWaiting = options.maxWaiting ?? DEFAULTS.maxWaiting;
    const { storage, clock = systemClock } = options;
    this.#clock = clock;
    this.#announced = new AnnouncedTypes({ storage, clock });
    this.#watch = new TaskWatch({ storage, clock });
  }

  /** Tasks stored so far, without repeats and redriven ones. */
  get submitted(): number {
    return this.#submitted;
  }

  /**
   * Submits a task; durable once this resolves. `body`: that of `POST /v1/tasks`.
   * @throws {OrchestratorError} `invalid_request`, `unknown_workflow`, `queue_full`, `session_busy`, `session_closed`,
   * `idempotency_conflict`, `conflict`
   */
  submit(params: Request): Promise<TaskReceipt> {
    return this.#store(params, 'task', fromTaskSubmission);
  }

  /** Stores a message and the task that answers it atomically. `body`: that of `POST /v1/chat`. Errors: see `submit`. */
  chat(params: Request): Promise<TaskReceipt> {
    return this.#store(params, 'chat', fromChatRequest);
  }

  async #store(params: Request, kind: string, read: typeof fromTaskSubmission): Promise<TaskReceipt> {
    const complete = this.#complete(read(params.body, this.#newId));
    const submission = complete instanceof Promise ? await complete : complete;
    const { tenantId } = params;
    const { task_id: taskId } = submission.task;
    const idempotency = idempotencyOf(params.idempotencyKey, kind, params.body);
    this.#watch.expect(tenantId, taskId);
    const rest = { tenantId, maxWaiting: this.#maxWaiting, idempotency };
    const answer = await tracedSubmit(tenantId, submission, async (traced) => {
      const stored = await this.#storage.tasks.submit({ ...rest, submission: traced });
      if (!('task' in stored)) throw refusalError(stored, this.#clock.now());
      return stored;
    });
    if (answer.answer === 'submitted') {
      this.#submitted += 1;
      this.#watch.confirm(tenantId, taskId, answer.cursor);
    }
    return { task: answer.task, replayed: answer.answer === 'replayed', cursor: answer.cursor };
  }

  /** Submits many requests as one batch; an invalid one fails alone. `body`: that of `POST /v1/batch`. */
  async submitBatch(params: Request): Promise<{ readonly batch: Batch; readonly replayed: boolean }> {
    const { requests, max_in_flight, fail_fast } = validateOnce(batchSubmissionSchema, params.body, 'batch');
    const items: (Submission | { readonly error: TaskError })[] = [];
    for (const request of requests) items.push(inActiveTrace(await this.#batchItem(request)));
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
    if (!('batch' in answer)) throw refusedWith(answer.answer);
    if (answer.answer === 'submitted') this.#submitted += items.filter((item) => 'task' in item).length;
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

  /** Counts of a batch, and a page of items: at most 1 MiB; a single item may be larger. `results` (default `false`): include results. */
  async getBatch(params: {
    readonly tenantId: string;
    readonly batchId: string;
    readonly results?: boolean | undefined;
    /** The `next` of the previous page. */
    readonly cursor?: string | undefined;
  }): Promise<Batch> {
    const { tenantId, batchId, results = false, cursor } = params;
    const from = cursor === undefined ? {} : { after: validate(pageCursorSchema, cursor, 'cursor') };
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
    /** Stops early; the sweeper cancels the rest. */
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
   * Registers external work: tracked, timed out, cancelled and followed like any task, but never queued. It ends by the outcome
   * that `service` reports for `jobId`, else by `finish`.
   */
  async register(params: Registration): Promise<TaskReceipt> {
    const { tenantId } = params;
    const registered = await this.#storage.tasks.register({
      tenantId,
      ...readRegistration(params, this.#newId),
      maxWaiting: this.#maxWaiting,
    });
    if (!('task' in registered)) throw refusalError(registered, this.#clock.now());
    return { task: registered.task, replayed: registered.answer === 'replayed', cursor: registered.cursor };
  }

  /** Ends a registered task. The first outcome wins: a repeated call returns the task unchanged. */
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
   * Reports progress of a registered task.
   * @throws {OrchestratorError} `not_found`, `invalid_request`
   */
  async progress({ tenantId, taskId, ...reported }: InTask & Progress): Promise<void> {
    const progress = validate(progressSchema, reported, 'progress');
    const { answer } = await this.#storage.tasks.progress({ tenantId, taskId, progress });
    if (answer === 'not_found') throw unknownTask(taskId);
  }

  /** @throws {OrchestratorError} `not_found`, also for another tenant's task. */
  async get({ tenantId, taskId }: InTask): Promise<Task> {
    return (await this.locate({ tenantId, taskId })).task;
  }

  /** A task as of `cursor`, and `startCursor`, the position before its first event. */
  async locate(of: InTask): Promise<NonNullable<GetTaskResult>> {
    const { tenantId, taskId } = of;
    const id = uuidSchema.safeParse(taskId);
    if (!id.success) {
      throw new OrchestratorError('invalid_request', `task_id: expected a UUID v4, got ${describe(taskId)}`);
    }
    const found = await this.#storage.tasks.get({ tenantId, taskId: id.data });
    if (!found) throw unknownTask(taskId);
    return found;
  }

  /**
   * Newest first; `limit` 1 to 500, default 50. A page scans at most 1,000 tasks and has at most 1 MiB, unless its only task is
   * larger: it may have fewer than `limit` tasks, even none, and still a `next`.
   */
  async list(query: TaskPageQuery): Promise<{ readonly tasks: readonly Task[]; readonly next?: string }> {
    return this.#storage.tasks.list(taskPageOf(query));
  }

  async counts({ tenantId }: { readonly tenantId: string }): Promise<Readonly<Record<TaskStatus, number>>> {
    return (await this.#storage.tasks.counts({ tenantId })).counts;
  }

  /**
   * Cancels a task: at once unless a worker runs it; then after a grace period of up to 30 s. Idempotent.
   * @throws {OrchestratorError} `not_found`, `conflict` if it has completed or failed
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
    if (cancelled.answer === 'already_final') refuseEnded(cancelled.task);
    return cancelled.task;
  }

  /**
   * Sends a signal; idempotent by key for the lifetime of the task.
   * @throws {OrchestratorError} `not_found`, `idempotency_conflict`, `conflict` if the task has ended, `rate_limited` if 100 signals are
   * unconsumed.
   */
  async signal(
    params: InTask & {
      readonly name: string;
      readonly payload?: JsonArgument | undefined;
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
    const signal = { tenantId, taskId, name, payload, signalId, fingerprint };
    const { answer } = await this.#storage.tasks.signal(signal);
    if (answer === 'not_found') throw unknownTask(taskId);
    refuseSignal(answer, taskId);
  }

  /**
   * Resubmits a failed task as a new one that inherits its successful steps, or with a new payload and no steps. Idempotent.
   * @throws {OrchestratorError} `not_found`, `queue_full`, `payload_too_large`, `conflict` for a task that cannot be redriven, or
   * was with another payload.
   */
  async redrive(params: RedriveRequest): Promise<Task> {
    return (await this.redriveOnce(params)).task;
  }

  /** Like `redrive`. `replayed`: it was redriven before. */
  async redriveOnce(params: RedriveRequest): Promise<Redriven> {
    const payload = redrivePayload(params.payload);
    await this.locate(params);
    const newTaskId = this.#random.uuid();
    return redriveTask(
      { tasks: this.#storage.tasks, clock: this.#clock },
      { ...params, payload, newTaskId, maxWaiting: this.#maxWaiting },
    );
  }

  /**
   * Removes a failed task with its journal. Its events stay.
   * @throws {OrchestratorError} `not_found`, also when repeated; `conflict` for a task that has not failed.
   */
  async discard(of: InTask): Promise<void> {
    const { status } = await this.get(of);
    const { answer } = await this.#storage.tasks.discard({ tenantId: of.tenantId, taskId: of.taskId });
    if (answer === 'not_found') throw unknownTask(of.taskId);
    if (answer === 'not_failed') throw discardRefusal(of.taskId, status);
  }

  /** State of a task and the reason for it. */
  async explain({ tenantId, taskId }: InTask): Promise<Explanation> {
    await this.locate({ tenantId, taskId });
    const explanation = await this.#storage.tasks.explain({ tenantId, taskId });
    if (!explanation) throw unknownTask(taskId);
    return explanation;
  }

  /** Resolves with the final task, or with its current state after `timeoutMs` (default: none) or when `signal` fires. */
  async wait(params: InTask & { readonly timeoutMs?: number; readonly signal?: AbortSignal }): Promise<Task> {
    const { timeoutMs } = params;
    if (timeoutMs !== undefined && !(typeof timeoutMs === 'number' && timeoutMs >= 0)) {
      throw new OrchestratorError(
        'invalid_request',
        `timeoutMs: expected 0 or more, got ${describe(timeoutMs)}`,
      );
    }
    return (await this.#watch.wait(params)) ?? Promise.reject(unknownTask(params.taskId));
  }

  /** Whether waits end at once. */
  get isClosed(): boolean {
    return this.#watch.isStopped;
  }

  /** Ends all pending waits. */
  close(): void {
    this.#watch.stop();
  }

  /** Applies the defaults of the type: those of this process, else those announced by other workers. */
  #complete(read: ReadSubmission): Submission | Promise<Submission> {
    const { type, payload } = read.task;
    this.#types?.checkPayload(type, payload);
    if (this.#types?.has(type)) return withDefaults(read, this.#types.defaults?.(type) ?? {});
    return this.#announced.defaults(type).then((defaults) => withDefaults(read, defaults));
  }
}

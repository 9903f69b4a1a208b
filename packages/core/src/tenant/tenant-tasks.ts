import type { JsonArgument, JsonValue } from '../protocol/json.js';
import type { PageOptions } from '../protocol/pages.js';
import { parseBySchema } from '../protocol/standard-schema.js';
import type { Task, TaskStatus, TaskSubmission } from '../protocol/task.js';
import type { Explanation } from '../storage/task-records.js';
import { isDefinition, type WorkflowDefinition } from '../workflows/definition.js';
import {
  checkNames,
  request,
  type RequestOptions,
  SUBMIT_OPTIONS,
  type SubmitOptions,
  submissionOf,
} from './submit-options.js';
import { type HandlePorts, SubmittedTask, TaskHandle, type WaitOptions } from './task-handle.js';

/** A submission that is no definition: that has a `type` as well. */
type ByName = TaskSubmission & { readonly run?: undefined };

/** Tasks of one tenant. */
export class TenantTasks {
  constructor(private readonly ports: HandlePorts) {}

  /**
   * Submits a task; durable once this resolves. The result's type is that of the definition. Errors: see
   * `GlobalTaskRegistry.submit`; `invalid_request` for an input that does not match the definition's schema. No input
   * (`undefined` or `null`) is `{}`.
   */
  submit<I, R>(
    workflow: WorkflowDefinition<I, R>,
    input: I,
    options?: SubmitOptions,
  ): Promise<SubmittedTask<R>>;
  /** Submits a task by the name of its workflow. `submission`: the body of `POST /v1/tasks`. */
  submit<R = JsonValue>(submission: ByName, options?: RequestOptions): Promise<SubmittedTask<R>>;
  async submit(
    what: WorkflowDefinition | TaskSubmission,
    ...rest: readonly unknown[]
  ): Promise<SubmittedTask<never>> {
    if (!isDefinition(what)) return this.#submit(what, rest[0] as RequestOptions | undefined);
    const [given, options = {}] = rest as readonly [unknown, SubmitOptions?];
    checkNames(options, SUBMIT_OPTIONS);
    // As the workflow gets it: a body's `null` is an absent field.
    const input = given ?? {};
    const { input: schema } = what.options;
    if (schema) parseBySchema(schema, input, { what: `input of workflow "${what.type}"` });
    const { idempotencyKey, signal } = options;
    return this.#submit(submissionOf(what, input, options), { idempotencyKey, signal });
  }

  async #submit(body: TaskSubmission, options: RequestOptions = {}): Promise<SubmittedTask<never>> {
    const { tenantId, registry } = this.ports;
    const submitted = await request(options, (idempotencyKey) =>
      registry.submit({ tenantId, body, idempotencyKey }),
    );
    return new SubmittedTask(this.ports, submitted);
  }

  /** A handle of an existing task, without reading it. */
  handle<R = JsonValue>(taskId: string): TaskHandle<R> {
    return new TaskHandle(this.ports, taskId);
  }

  /** @throws {OrchestratorError} `not_found` */
  get(taskId: string): Promise<Task> {
    return this.ports.registry.get({ tenantId: this.ports.tenantId, taskId });
  }

  /** Newest first; `limit` 1 to 500, default 50. `cursor`: the `next` of the previous page. */
  list(
    filter: PageOptions & {
      readonly status?: TaskStatus;
      readonly type?: string;
      readonly sessionId?: string;
      /** Code of the error that it ended with. */
      readonly code?: string;
      /** Changed at this time or later, ISO 8601. */
      readonly since?: string;
      /** Beginning of the task id. */
      readonly idPrefix?: string;
    } = {},
  ): Promise<{ readonly tasks: readonly Task[]; readonly next?: string }> {
    return this.ports.registry.list({ tenantId: this.ports.tenantId, ...filter });
  }

  /** Number of tasks by status. */
  counts(): Promise<Readonly<Record<TaskStatus, number>>> {
    return this.ports.registry.counts({ tenantId: this.ports.tenantId });
  }

  /**
   * Requests cancellation; a running task has a grace period of 30 s.
   * @throws {OrchestratorError} `conflict` if it has completed or failed.
   */
  cancel(taskId: string, { reason }: { readonly reason?: string | undefined } = {}): Promise<Task> {
    return this.ports.registry.cancel({ tenantId: this.ports.tenantId, taskId, reason });
  }

  /** Sends a signal to a workflow; idempotent by key. Errors: see `GlobalTaskRegistry.signal`. */
  signal(taskId: string, name: string, payload?: JsonArgument, options: RequestOptions = {}): Promise<void> {
    return this.handle(taskId).signal(name, payload, options);
  }

  /** Resolves with the final task, or with its current state after `timeoutMs` or when `signal` fires. */
  wait(taskId: string, options: WaitOptions = {}): Promise<Task> {
    return this.ports.registry.wait({ tenantId: this.ports.tenantId, taskId, ...options });
  }

  /** Resubmits a failed task as a new task that inherits its successful steps. Idempotent. */
  redrive(taskId: string): Promise<Task> {
    return this.ports.registry.redrive({ tenantId: this.ports.tenantId, taskId });
  }

  /** State of a task and the reason for it, for operators. */
  explain(taskId: string): Promise<Explanation> {
    return this.ports.registry.explain({ tenantId: this.ports.tenantId, taskId });
  }
}

import type { TenantEvents } from '../events/tenant-events.js';
import { OrchestratorError } from '../protocol/errors.js';
import type { Gap, TaskEvent } from '../protocol/events.js';
import type { JsonArgument, JsonValue } from '../protocol/json.js';
import { readField } from '../protocol/portioned-json.js';
import { isFinal, type Task } from '../protocol/task.js';
import type { GlobalTaskRegistry, TaskReceipt } from '../tasks/global-task-registry.js';
import { request, type RequestOptions } from './submit-options.js';

/** Options of a wait for the end of a task. */
export interface WaitOptions {
  /** Maximum wait, ms. Default: none; the task's own time limit ends it. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface HandlePorts {
  readonly tenantId: string;
  readonly registry: GlobalTaskRegistry;
  readonly events: TenantEvents;
}

/** A task by its id. `R`: type of its result, asserted by the caller or known from the workflow's definition. */
export class TaskHandle<R = JsonValue> {
  readonly #ports: HandlePorts;

  constructor(
    ports: HandlePorts,
    readonly task_id: string,
  ) {
    this.#ports = ports;
  }

  /**
   * Resolves with the result once the task completes.
   * @throws {OrchestratorError} with the task's code and message if it failed or was cancelled; `timeout` (retryable) after
   * `timeoutMs`; `not_running` once the orchestrator is stopped; `not_found`. Rejects with the signal's reason when it fires.
   */
  async result({ timeoutMs, signal }: WaitOptions = {}): Promise<R> {
    const { tenantId, registry } = this.#ports;
    const taskId = this.task_id;
    signal?.throwIfAborted();
    const task = await registry.wait({
      tenantId,
      taskId,
      ...(timeoutMs !== undefined && { timeoutMs }),
      ...(signal && { signal }),
    });
    if (!isFinal(task.status)) {
      signal?.throwIfAborted();
      throw registry.isClosed || timeoutMs === undefined ? stopped(task) : late(task, timeoutMs);
    }
    if (task.status === 'completed') {
      await readField(task, 'result', () => ({ share: tenantId, ...(signal && { signal }) }));
      return (task.result ?? null) as R;
    }
    const { code, message, retryable } = task.error ?? {
      code: 'cancelled',
      message: `task ${taskId} was cancelled`,
      retryable: false,
    };
    throw new OrchestratorError(code, message, { retryable, details: { task_id: taskId } });
  }

  /** The task's events from its first one, or after a cursor. Ends after the final one. */
  events(
    options: { readonly after?: string; readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<TaskEvent<R> | Gap> {
    const events = this.#ports.events.follow({ task_id: this.task_id, ...options });
    return events as AsyncGenerator<TaskEvent<R> | Gap>;
  }

  /** The task as it is now. @throws {OrchestratorError} `not_found` */
  async get(): Promise<Task<R>> {
    const { tenantId, registry } = this.#ports;
    return (await registry.get({ tenantId, taskId: this.task_id })) as Task<R>;
  }

  /**
   * Requests cancellation; a running task has a grace period of 30 s.
   * @throws {OrchestratorError} `conflict` if it has completed or failed.
   */
  async cancel({ reason }: { readonly reason?: string | undefined } = {}): Promise<Task<R>> {
    const { tenantId, registry } = this.#ports;
    return (await registry.cancel({ tenantId, taskId: this.task_id, reason })) as Task<R>;
  }

  /** Sends a signal to the workflow; idempotent by key. Errors: see `GlobalTaskRegistry.signal`. */
  signal(name: string, payload?: JsonArgument, options: RequestOptions = {}): Promise<void> {
    const { tenantId, registry } = this.#ports;
    return request(options, (idempotencyKey) =>
      registry.signal({ tenantId, taskId: this.task_id, name, payload, idempotencyKey }),
    );
  }
}

/** A task that a submission has stored, or found by its idempotency key. */
export class SubmittedTask<R = JsonValue> extends TaskHandle<R> {
  /** The task as of `cursor`. */
  readonly task: Task<R>;
  /** The idempotency key or `task_id` was used before, for the same request. */
  readonly replayed: boolean;
  /** Position in the tenant's event log. */
  readonly cursor: string;

  constructor(ports: HandlePorts, { task, replayed, cursor }: TaskReceipt) {
    super(ports, task.task_id);
    this.task = task as Task<R>;
    this.replayed = replayed;
    this.cursor = cursor;
  }
}

function stopped({ task_id: id, status }: Task): OrchestratorError {
  return new OrchestratorError('not_running', `task ${id} is ${status}; the orchestrator has stopped`);
}

function late({ task_id: id, status }: Task, timeoutMs: number): OrchestratorError {
  return new OrchestratorError('timeout', `task ${id} has not ended within ${timeoutMs} ms: it is ${status}`);
}

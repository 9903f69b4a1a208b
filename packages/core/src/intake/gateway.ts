import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../runtime/clock.js';
import type { Logger } from '../runtime/logger.js';
import { OrchestratorError, type TaskError } from '../protocol/errors.js';
import { idSchema, nameSchema, uuidFromBytes, uuidSchema } from '../protocol/ids.js';
import type { JsonValue } from '../protocol/json.js';
import { copyField, fieldText, writeJson } from '../protocol/known-text.js';
import { readField } from '../protocol/portioned-json.js';
import { DEFAULTS } from '../protocol/settings.js';
import { isFinal, type Task, type TaskStatus } from '../protocol/task.js';
import { messageOf, publicError } from '../protocol/thrown.js';
import type { ServiceCall } from '../protocol/service-call.js';
import { describe, validate } from '../protocol/validation.js';
import type { Random } from '../runtime/random.js';
import type { ServiceCaller } from '../services/service-caller.js';
import type { StepAnswer } from '../storage/call-journal.js';
import type { Storage } from '../storage/storage.js';
import type { GlobalTaskRegistry } from '../tasks/global-task-registry.js';
import { refusalError } from '../tasks/new-task.js';
import type { ServiceIdentity } from './intake.js';
import type { ServiceLinks } from './service-links.js';
import { sharedAbort } from '../runtime/abort.js';
import { activeTraceparent } from '../tracing/spans.js';

/** A service's request to another service. */
export interface GatewayRequest {
  readonly from: ServiceIdentity;
  readonly tenant_id: string;
  readonly service: string;
  readonly operation: string;
  readonly input: JsonValue;
  readonly session_id?: string | undefined;
  /** The task on whose behalf the call is made. */
  readonly task_id?: string | undefined;
  /** Connection that receives the outcome. Default: all connections of the requesting service. */
  readonly reply_to?: string | undefined;
  /** The same key identifies the same call. */
  readonly idempotencyKey?: string | undefined;
  readonly traceparent?: string | undefined;
}

/** Answer of the gateway: the result, or the job that will have it. */
export type GatewayAnswer =
  | { readonly answer: 'result'; readonly result: JsonValue }
  | { readonly answer: 'job'; readonly job_id: string };

/** State of a job of the gateway. */
export interface GatewayJob {
  readonly job_id: string;
  readonly status: TaskStatus;
  readonly result?: JsonValue;
  readonly error?: TaskError;
}

interface SendOptions {
  readonly traceparent: string | undefined;
  readonly signal: AbortSignal;
  /** Whether the request has an idempotency key, so that the client may repeat it. */
  readonly isRepeatable: boolean;
}

/**
 * Calls between services, so that limits, usage and traces cover them. A call is a child task of the task on whose behalf it is
 * made: registered, not queued, since it must not wait for slots that its parent holds. Its `job_id` is the child's `task_id`.
 */
export class Gateway {
  readonly #stopping = sharedAbort();
  /** Calls being sent by this process, by id. `isAwaited`: another request with the same key was answered with the job. */
  readonly #sending = new Map<string, { isAwaited: boolean }>();

  constructor(
    private readonly ports: {
      readonly storage: Storage;
      readonly registry: GlobalTaskRegistry;
      readonly caller: ServiceCaller;
      readonly links: ServiceLinks;
      readonly clock: Clock;
      readonly random: Random;
      readonly logger: Logger;
      /** Whether tenants see the messages of errors other than `OrchestratorError`. */
      readonly exposeErrors: boolean;
      /** Maximum of live tasks per tenant; beyond it, requests fail with `queue_full`. */
      readonly maxWaiting: number;
    },
  ) {}

  /**
   * The result if the service responds with it; else a job, whose outcome is sent to the requesting service's connection.
   * @throws {OrchestratorError} `forbidden`, `unknown_service`, `not_found` (the task), or the failure of the call.
   */
  async request(request: GatewayRequest, options: { readonly signal: AbortSignal }): Promise<GatewayAnswer> {
    const answer = await this.#request(request, options);
    if (answer.answer === 'job') void this.#reportOutcome(request, answer.job_id);
    return answer;
  }

  /** Like `request`, but waits for the outcome; cancels the job when `signal` fires. */
  async call(request: GatewayRequest, options: { readonly signal: AbortSignal }): Promise<JsonValue> {
    const answer = await this.#request(request, options);
    if (answer.answer === 'result') return answer.result;
    const { signal } = options;
    const task = await this.ports.registry.wait({
      tenantId: request.tenant_id,
      taskId: answer.job_id,
      signal,
    });
    if (signal.aborted) await this.#cancel(request.tenant_id, answer.job_id);
    await readField(task, 'result', () => ({ share: request.tenant_id, signal }));
    return resultOf(task);
  }

  /** Cancels a job, unless it has already ended. */
  async #cancel(tenantId: string, taskId: string): Promise<void> {
    try {
      await this.ports.registry.cancel({ tenantId, taskId, reason: 'the caller no longer waits for it' });
    } catch (error) {
      if (!(error instanceof OrchestratorError) || error.code !== 'conflict') throw error;
    }
  }

  /** Status of a job. @throws {OrchestratorError} `not_found`, also for another service's job. */
  async job(request: {
    readonly from: ServiceIdentity;
    readonly tenant_id: string;
    readonly job_id: string;
  }): Promise<GatewayJob> {
    this.#checkScope(request.from, request.tenant_id);
    const task = await this.ports.registry.get({ tenantId: request.tenant_id, taskId: request.job_id });
    if (task.requested_by !== request.from.service) {
      throw new OrchestratorError('not_found', `no job ${describe(request.job_id)}`);
    }
    const { status, error } = task;
    const job: { -readonly [K in keyof GatewayJob]: GatewayJob[K] } = { job_id: request.job_id, status };
    if ('result' in task) copyField(task, job, 'result');
    if (error) job.error = error;
    return job;
  }

  stop(): void {
    this.#stopping.abort();
  }

  async #request(
    request: GatewayRequest,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<GatewayAnswer> {
    const { tenant_id: tenantId, service, operation, input } = request;
    this.#checkScope(request.from, validate(idSchema, tenantId, 'tenant_id'));
    validate(nameSchema, operation, 'operation');
    const { silenceMs } = this.ports.caller.service(service);
    const parent = await this.#parent(request);
    const mintedId = this.ports.random.uuid();
    const taskId = this.#childId(request);
    const registered = await this.ports.storage.tasks.register({
      tenantId,
      task: {
        task_id: taskId,
        type: service,
        priority: parent?.priority ?? 4,
        payload: input,
        metadata: { ...parent?.metadata, source: 'system' },
        ...sessionOf(request, parent),
        ...(parent && { parent_task_id: parent.task_id }),
        requested_by: request.from.service,
        timeoutMs: DEFAULTS.taskTimeoutMs,
        maxAttempts: 1,
      },
      call: { callId: mintedId, service, operation, silenceMs },
      maxWaiting: this.ports.maxWaiting,
    });
    if (!('task' in registered)) throw refusalError(registered, this.ports.clock.now());
    let callId = mintedId;
    if (registered.answer === 'replayed') {
      const earlier = replay(request, registered.task);
      const unanswered = unansweredCall(registered.task);
      if (unanswered === undefined) return earlier;
      const sending = this.#sending.get(unanswered);
      if (sending) {
        sending.isAwaited = true;
        return earlier;
      }
      // The sending process may have crashed, or the request was aborted: resend the call under its id.
      callId = unanswered;
    }
    const call = {
      call_id: callId,
      task_id: taskId,
      tenant_id: tenantId,
      session_id: registered.task.session_id,
      operation,
      input,
      attempt: 1,
      metadata: { user_id: parent?.metadata.user_id },
    };
    const traceparent = activeTraceparent() ?? request.traceparent ?? parent?.metadata.traceparent;
    const isRepeatable = request.idempotencyKey !== undefined;
    return toGatewayAnswer(taskId, await this.#send(service, call, { traceparent, signal, isRepeatable }));
  }

  /**
   * Sends a call and records its outcome. A failure after `signal` has fired may be caused by the signal alone. If the request is
   * repeatable, the failure is not recorded: the call stays unanswered, and a repeated request resends it under its id. If
   * another request already waits for the job, the call is resent at once.
   */
  async #send(service: string, call: ServiceCall, options: SendOptions): Promise<StepAnswer> {
    const { traceparent, signal, isRepeatable } = options;
    const { tenant_id: tenantId, task_id: taskId, call_id: callId } = call;
    const sending = { isAwaited: false };
    this.#sending.set(callId, sending);
    let isAborted = false;
    try {
      const received = await this.ports.caller.call(service, call, { traceparent, signal });
      isAborted = signal.aborted && isRepeatable && received.kind === 'outcome' && !received.outcome.ok;
      if (isAborted) throw abortedError(service);
      const answer = this.#toPublic(service, received);
      const about = { tenantId, taskId, journalRev: 0, key: callId, callId };
      await this.ports.storage.journal.record({ ...about, answer });
      return answer;
    } finally {
      this.#sending.delete(callId);
      if (isAborted && sending.isAwaited) void this.#sendAgain(service, call, options);
    }
  }

  /** Resends for the requests that wait for the job, independently of the first request; stops with the process. */
  async #sendAgain(service: string, call: ServiceCall, options: SendOptions): Promise<void> {
    const { signal } = this.#stopping;
    if (signal.aborted) return;
    try {
      await this.#send(service, call, { ...options, signal });
    } catch (error) {
      if (signal.aborted) return;
      this.ports.logger.error('gateway: outcome not recorded', { service, error: messageOf(error) });
    }
  }

  /** Replaces a foreign error message: the error becomes that of the child task, which tenants see. */
  #toPublic(service: string, answer: StepAnswer): StepAnswer {
    if (answer.kind !== 'outcome' || answer.outcome.ok || !answer.outcome.error.foreign) return answer;
    const { error } = answer.outcome;
    this.ports.logger.error('gateway: service failed', { service, error: error.message });
    const { retryAfterMs } = error;
    const shown = {
      ...publicError(error, `service "${service}"`, this.ports.exposeErrors),
      ...(retryAfterMs !== undefined && { retryAfterMs }),
    };
    return { ...answer, outcome: { ok: false, error: shown } };
  }

  #checkScope(from: ServiceIdentity, tenantId: string): void {
    if (from.tenants === undefined || from.tenants.has(tenantId)) return;
    throw new OrchestratorError(
      'forbidden',
      `service ${from.service} may not act for tenant ${describe(tenantId)}`,
    );
  }

  async #parent({ tenant_id: tenantId, task_id }: GatewayRequest): Promise<Task | undefined> {
    if (task_id === undefined) return undefined;
    return this.ports.registry.get({ tenantId, taskId: validate(uuidSchema, task_id, 'task_id') });
  }

  #childId({ from, tenant_id, idempotencyKey }: GatewayRequest): string {
    if (idempotencyKey === undefined) return this.ports.random.uuid();
    const digest = createHash('sha256')
      .update(`gateway\n${tenant_id}\n${from.service}\n${idempotencyKey}`)
      .digest();
    return uuidFromBytes(digest);
  }

  async #reportOutcome(request: GatewayRequest, jobId: string): Promise<void> {
    const { tenant_id: tenantId, from, service, reply_to } = request;
    const { signal } = this.#stopping;
    try {
      const task = await this.ports.registry.wait({ tenantId, taskId: jobId, signal });
      if (signal.aborted) return;
      const { error } = task;
      const failed = error && { error: error.message, error_type: error.code, retryable: error.retryable };
      const frame = {
        event: failed ? ('task_failed' as const) : ('task_completed' as const),
        service,
        task_id: jobId,
        global_task_id: jobId,
        tenant_id: tenantId,
        timestamp: new Date(this.ports.clock.now()).toISOString(),
        data: (failed ?? null) as JsonValue,
        metadata: {},
      };
      if (!failed && 'result' in task) copyField(task, frame, 'result', 'data');
      this.ports.links.deliver(from.service, frame, reply_to);
    } catch (error) {
      this.ports.logger.error('gateway: outcome not delivered', {
        service: from.service,
        error: messageOf(error),
      });
    }
  }
}

/** Answer to a repeated key. @throws {OrchestratorError} `idempotency_conflict` for another request. */
function replay(request: GatewayRequest, task: Task): GatewayAnswer {
  const operation = task.delegated_services[0]?.operation;
  const same = task.type === request.service && operation === request.operation;
  // Usually the text is equal; otherwise compares values, since the key order may differ.
  const isSame = () =>
    fieldText(task, 'payload') === writeJson(request.input) || isDeepStrictEqual(task.payload, request.input);
  if (!same || !isSame()) {
    throw new OrchestratorError('idempotency_conflict', 'the Idempotency-Key was used for another request');
  }
  if (!isFinal(task.status)) return { answer: 'job', job_id: task.task_id };
  return task.status === 'completed'
    ? resultAnswer(task, 'result')
    : { answer: 'result', result: resultOf(task) };
}

function abortedError(service: string): OrchestratorError {
  const message = `the request was aborted before service "${service}" responded: repeat it with the same Idempotency-Key`;
  return new OrchestratorError('cancelled', message, { retryable: true });
}

/** Id of a stored call without a recorded response. */
function unansweredCall({ status, delegated_services }: Task): string | undefined {
  const [call] = delegated_services;
  const open = !isFinal(status) && call?.status === 'processing' && call.task_id === undefined;
  return open ? call.call_id : undefined;
}

function sessionOf(request: GatewayRequest, parent: Task | undefined): { session_id?: string } {
  const session = request.session_id ?? parent?.session_id;
  return session === undefined ? {} : { session_id: validate(idSchema, session, 'session_id') };
}

function toGatewayAnswer(taskId: string, answer: StepAnswer): GatewayAnswer {
  if (answer.kind === 'accepted') return { answer: 'job', job_id: taskId };
  if (answer.outcome.ok) return resultAnswer(answer.outcome, 'value');
  throw failedCall(taskId, answer.outcome.error);
}

/** `job_id` tells the outcome of the call from a refusal of the request: sent again, it comes to the same. */
function failedCall(
  taskId: string,
  { code, message, retryable, retryAfterMs }: TaskError & { readonly retryAfterMs?: number },
): OrchestratorError {
  const details = { job_id: taskId, retryable };
  return new OrchestratorError(code, message, {
    retryable,
    details,
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  });
}

/** Keeps a large result as text. */
function resultAnswer<F extends string>(from: { readonly [K in F]?: unknown }, field: F): GatewayAnswer {
  const answer: { answer: 'result'; result: JsonValue } = { answer: 'result', result: null };
  if (field in from) copyField(from, answer, field, 'result');
  return answer;
}

function resultOf(task: Task): JsonValue {
  const { error, status } = task;
  if (status === 'completed') return task.result ?? null;
  const cancelled = { code: 'cancelled', message: 'the call was cancelled', retryable: false } as const;
  throw failedCall(task.task_id, error ?? cancelled);
}

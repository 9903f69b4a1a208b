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

/** What a service asks of another one. */
export interface GatewayRequest {
  readonly from: ServiceIdentity;
  readonly tenant_id: string;
  readonly service: string;
  readonly operation: string;
  readonly input: JsonValue;
  readonly session_id?: string | undefined;
  /** The task on whose behalf it asks. */
  readonly task_id?: string | undefined;
  /** The connection that is to hear the outcome. Default: all of the asking service. */
  readonly reply_to?: string | undefined;
  /** The same key again is the same call. */
  readonly idempotencyKey?: string | undefined;
  readonly traceparent?: string | undefined;
}

export type GatewayAnswer =
  | { readonly answer: 'result'; readonly result: JsonValue }
  | { readonly answer: 'job'; readonly job_id: string };

export interface GatewayJob {
  readonly job_id: string;
  readonly status: TaskStatus;
  readonly result?: JsonValue;
  readonly error?: TaskError;
}

interface SendOptions {
  readonly traceparent: string | undefined;
  readonly signal: AbortSignal;
  /** Whether the request has a key by which a repeat is known. */
  readonly mayComeAgain: boolean;
}

/**
 * The way from one service to another, so that limits, usage and traces see every call. A call is a child task of the
 * task on whose behalf it is made: registered, not queued, since it must not wait for the slots that its parent holds.
 * Its `job_id` is the child's `task_id`.
 */
export class Gateway {
  readonly #stopping = sharedAbort();
  /** The calls that this process is sending, by id: whether another request with the same key was told to wait for the job. */
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
      /** Whether tenants see the text of errors that are not this project's. */
      readonly exposeErrors: boolean;
      /** Tasks of a tenant that have not ended before `queue_full`. */
      readonly maxWaiting: number;
    },
  ) {}

  /**
   * The result if it came at once; else a job, whose outcome the asking service hears of on its connection.
   * @throws {OrchestratorError} `forbidden`, `unknown_service`, `not_found` (the task), or what the call failed with.
   */
  async request(request: GatewayRequest, options: { readonly signal: AbortSignal }): Promise<GatewayAnswer> {
    const answer = await this.#ask(request, options);
    if (answer.answer === 'job') void this.#reportOutcome(request, answer.job_id);
    return answer;
  }

  /** Asks, and waits for the outcome. */
  async call(request: GatewayRequest, options: { readonly signal: AbortSignal }): Promise<JsonValue> {
    const answer = await this.#ask(request, options);
    if (answer.answer === 'result') return answer.result;
    const { signal } = options;
    const task = await this.ports.registry.wait({
      tenantId: request.tenant_id,
      taskId: answer.job_id,
      signal,
    });
    if (signal.aborted) await this.#giveUp(request.tenant_id, answer.job_id);
    await readField(task, 'result', () => ({ share: request.tenant_id, signal }));
    return resultOf(task);
  }

  /** Cancels a call that is no longer wanted. One that has ended meanwhile needs no cancel. */
  async #giveUp(tenantId: string, taskId: string): Promise<void> {
    try {
      await this.ports.registry.cancel({ tenantId, taskId, reason: 'the caller no longer waits for it' });
    } catch (error) {
      if (!(error instanceof OrchestratorError) || error.code !== 'conflict') throw error;
    }
  }

  /** How a job stands; a foreign one looks like an absent one. */
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

  async #ask(request: GatewayRequest, { signal }: { readonly signal: AbortSignal }): Promise<GatewayAnswer> {
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
    if (registered.answer === 'queue_full') throw refusalError(registered.answer);
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
      // The process that was to send it may have died, or the request been given up: the same call, by its id, is sent again.
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
    const traceparent = request.traceparent ?? parent?.metadata.traceparent;
    const mayComeAgain = request.idempotencyKey !== undefined;
    return toGatewayAnswer(taskId, await this.#send(service, call, { traceparent, signal, mayComeAgain }));
  }

  /**
   * Sends a call and records what came of it. A failure after `signal` has fired may be due to the signal alone. If the same request
   * may come again, it is not recorded: the call stays unanswered, and that request sends it again, by its id. If one waits for
   * the job already, the call is sent again at once.
   */
  async #send(service: string, call: ServiceCall, options: SendOptions): Promise<StepAnswer> {
    const { traceparent, signal, mayComeAgain } = options;
    const { tenant_id: tenantId, task_id: taskId, call_id: callId } = call;
    const sending = { isAwaited: false };
    this.#sending.set(callId, sending);
    let isGivenUp = false;
    try {
      const came = await this.ports.caller.call(service, call, { traceparent, signal });
      isGivenUp = signal.aborted && mayComeAgain && came.kind === 'outcome' && !came.outcome.ok;
      if (isGivenUp) throw givenUpError(service);
      const answer = this.#shown(service, came);
      const about = { tenantId, taskId, journalRev: 0, key: callId, callId };
      await this.ports.storage.journal.record({ ...about, answer });
      return answer;
    } finally {
      this.#sending.delete(callId);
      if (isGivenUp && sending.isAwaited) void this.#sendAgain(service, call, options);
    }
  }

  /** For requests that were told to wait for the job: until the process stops, whoever has asked first. */
  async #sendAgain(service: string, call: ServiceCall, options: SendOptions): Promise<void> {
    const { signal } = this.#stopping;
    if (signal.aborted) return;
    try {
      await this.#send(service, call, { ...options, signal });
    } catch (error) {
      if (signal.aborted) return;
      this.ports.logger.error('gateway: an outcome was not recorded', { service, error: messageOf(error) });
    }
  }

  /** The error of a call that is a task of its own is the task's: tenants see it. */
  #shown(service: string, answer: StepAnswer): StepAnswer {
    if (answer.kind !== 'outcome' || answer.outcome.ok || !answer.outcome.error.foreign) return answer;
    const { error } = answer.outcome;
    this.ports.logger.error('gateway: a service failed', { service, error: error.message });
    const shown = publicError(error, `service "${service}"`, this.ports.exposeErrors);
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
      this.ports.logger.error('gateway: an outcome was not told', {
        service: from.service,
        error: messageOf(error),
      });
    }
  }
}

/** The same key again: the same answer, unless something else is asked. */
function replay(request: GatewayRequest, task: Task): GatewayAnswer {
  const operation = task.delegated_services[0]?.operation;
  const same = task.type === request.service && operation === request.operation;
  // Most are the same text; parts in another order are the same request all the same.
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

function givenUpError(service: string): OrchestratorError {
  const message = `the request was given up before service "${service}" answered: repeat it with the same Idempotency-Key`;
  return new OrchestratorError('cancelled', message, { retryable: true });
}

/** The id of a call that was stored, and that no service has answered as far as is known. */
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
  const { code, message, retryable } = answer.outcome.error;
  throw new OrchestratorError(code, message, { retryable });
}

/** A large result stays text. */
function resultAnswer<F extends string>(from: { readonly [K in F]?: unknown }, field: F): GatewayAnswer {
  const answer: { answer: 'result'; result: JsonValue } = { answer: 'result', result: null };
  if (field in from) copyField(from, answer, field, 'result');
  return answer;
}

function resultOf(task: Task): JsonValue {
  const { error, status } = task;
  if (status === 'completed') return task.result ?? null;
  if (error) throw new OrchestratorError(error.code, error.message, { retryable: error.retryable });
  throw new OrchestratorError('cancelled', 'nobody waits for the call any more');
}

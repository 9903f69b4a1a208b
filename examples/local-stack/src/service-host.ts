import {
  accepted,
  answered,
  type JsonObject,
  type JsonValue,
  OrchestratorError,
  type ServiceCall,
  type Usage,
} from '@agent-orchestrator/core';
import { inSpan, inThisSpan, type InProcessService } from '@agent-orchestrator/core/server';
import { newToken, type TaskCancel, validate } from '@agent-orchestrator/core/protocol';
import { JobQueue, type JobQueueOptions } from './job-queue.js';
import { RecentCalls, type RecentCallsOptions } from './recent-calls.js';
import type {
  Gateway,
  OperationContext,
  OperationDefinition,
  ServiceDefinition,
} from './service-definition.js';

interface JobNotice {
  readonly task_id: string;
  readonly tenant_id: string;
  readonly call_id?: string;
  readonly global_task_id?: string;
}

/** The part of core's `TaskNotifier` that a host needs: one notifier per service. */
export interface JobNotifier {
  notifyTaskStatus(notice: JobNotice & { status: string; details?: JsonObject }): Promise<unknown>;
  notifyTaskCompletion(notice: JobNotice & { result: JsonValue; metadata?: JsonObject }): Promise<unknown>;
  notifyTaskFailure(
    notice: JobNotice & { error: unknown; error_type?: string; retryable?: boolean },
  ): Promise<unknown>;
  on(event: 'task_cancel', listener: (frame: TaskCancel) => void): unknown;
}

/** Options of `ServiceHost`. */
export interface ServiceHostOptions extends JobQueueOptions, RecentCallsOptions {
  readonly definition: ServiceDefinition;
  readonly gateway: Gateway;
  readonly notifier: JobNotifier;
  /** Interval of the heartbeat of a running job, ms: a silent job counts as failed. Default 20,000. */
  readonly aliveMs?: number;
  /** Called with errors that callers see as `internal_error` only. Default: `console.error`. */
  readonly report?: (error: unknown, where: string) => void;
}

/** Work that was answered with a job id. `announce` notifies its outcome. */
interface Job {
  readonly id: string;
  readonly call: ServiceCall;
  readonly abort: AbortController;
  announce: (() => void) | undefined;
}

type Known = { readonly reply: Promise<ReturnType<typeof answered>> } | { readonly job: Job };

/**
 * Runs a service definition in this process: validates the input, runs a call once however often it is sent,
 * answers `later` operations with a job id and notifies their outcome.
 *
 * States: stopped, then running after `start()`, until `stop()`; both are idempotent, and it may start again.
 * A job ends once: completed or failed (notified), cancelled by `task_cancel` (not notified), or failed by
 * `stop()` (notified as retryable).
 */
export class ServiceHost implements InProcessService, AsyncDisposable {
  readonly #definition: ServiceDefinition;
  readonly #gateway: Gateway;
  readonly #notifier: JobNotifier;
  readonly #report: (error: unknown, where: string) => void;
  readonly #aliveMs: number;
  readonly #queue: JobQueue;
  readonly #calls: RecentCalls<Known>;
  readonly #jobs = new Map<string, Job>();
  #stopped = AbortSignal.abort();
  #stop: AbortController | undefined;
  #listening = false;

  constructor(options: ServiceHostOptions) {
    this.#definition = options.definition;
    this.#gateway = options.gateway;
    this.#notifier = options.notifier;
    this.#report = options.report ?? ((error, where) => console.error(`[${where}]`, error));
    this.#aliveMs = options.aliveMs ?? 20_000;
    this.#queue = new JobQueue(options);
    this.#calls = new RecentCalls(options);
  }

  get name(): string {
    return this.#definition.name;
  }

  start(): void {
    if (this.#stop !== undefined) return;
    this.#stop = new AbortController();
    this.#stopped = this.#stop.signal;
    if (this.#listening) return;
    this.#listening = true;
    this.#notifier.on('task_cancel', (frame) => this.#cancel(frame));
  }

  /** Accepts no more calls, fails running jobs as retryable, and resolves once all have ended. */
  async stop(): Promise<void> {
    const reason = new OrchestratorError('service_unavailable', `the service "${this.name}" stops`);
    this.#stop?.abort(reason);
    this.#stop = undefined;
    for (const job of this.#jobs.values()) job.abort.abort(reason);
    await this.#queue.idle();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** @throws {OrchestratorError} `not_found`, `invalid_request`, `idempotency_conflict`, `rate_limited`, `not_running`. */
  async run(call: ServiceCall, { signal }: { readonly signal: AbortSignal }): Promise<unknown> {
    if (this.#stop === undefined) {
      throw new OrchestratorError('not_running', `the service "${this.name}" is not running`);
    }
    const operation = this.#operationOf(call);
    const known = this.#calls.find(call);
    if (known !== undefined) return this.#answerAgain(known);
    const input = validate(operation.input, call.input, `${this.name}.${call.operation} input`);
    if (operation.answers === 'later') return this.#accept(call, operation, input);
    const either = AbortSignal.any([signal, this.#stopped]);
    const reply = Promise.resolve().then(() => this.#answer(call, operation, input, either));
    this.#calls.remember(call, { reply });
    return reply;
  }

  #operationOf(call: ServiceCall): OperationDefinition {
    const { operations } = this.#definition;
    const operation = Object.hasOwn(operations, call.operation) ? operations[call.operation] : undefined;
    if (operation !== undefined) return operation;
    const expected = Object.keys(operations).join(', ');
    throw new OrchestratorError(
      'not_found',
      `operation of "${this.name}": expected one of ${expected}, got "${call.operation}"`,
    );
  }

  #answerAgain(known: Known): unknown {
    if ('reply' in known) return known.reply;
    // A caller that repeats a call may have missed the outcome. The hub drops a duplicate.
    known.job.announce?.();
    return accepted(known.job.id);
  }

  async #answer(call: ServiceCall, operation: OperationDefinition, input: unknown, signal: AbortSignal) {
    const usage = new UsageCount();
    try {
      const result = await operation.run(input, this.#contextOf(call, { signal, usage, progress: () => {} }));
      this.#calls.finish(call);
      return answered(result, usage.total);
    } catch (error) {
      const failure = this.#failureOf(error, call);
      // A retryable failure runs again; a final one is answered the same way.
      if (failure.retryable || signal.aborted) this.#calls.forget(call);
      else this.#calls.finish(call);
      throw failure;
    }
  }

  #accept(call: ServiceCall, operation: OperationDefinition, input: unknown) {
    const job: Job = { id: newToken(), call, abort: new AbortController(), announce: undefined };
    // Another job may start this one: it belongs to the span of its own call.
    const work = inThisSpan(async () => {
      const name = `job ${this.name}.${call.operation}`;
      await inSpan({ name }, async () => {
        const announce = await this.#outcomeOf(job, operation, input);
        job.announce = announce && inThisSpan(announce);
      });
      clearInterval(alive);
      this.#jobs.delete(job.id);
      this.#calls.finish(call);
      job.announce?.();
    });
    this.#queue.add(work);
    const alive = setInterval(() => {
      if (job.abort.signal.aborted) return;
      this.#send(this.#notifier.notifyTaskStatus({ ...noticeOf(job), status: 'working' }));
    }, this.#aliveMs);
    alive.unref();
    this.#jobs.set(job.id, job);
    this.#calls.remember(call, { job });
    return accepted(job.id);
  }

  /** Runs the job. Returns the notification of its outcome; nothing for a cancelled one. */
  async #outcomeOf(
    job: Job,
    operation: OperationDefinition,
    input: unknown,
  ): Promise<(() => void) | undefined> {
    const { signal } = job.abort;
    const notice = noticeOf(job);
    const usage = new UsageCount();
    const progress = (status: string, details?: JsonObject) => {
      if (signal.aborted) return;
      this.#send(this.#notifier.notifyTaskStatus({ ...notice, status, ...(details && { details }) }));
    };
    try {
      // A job begins after the response with its id, and not at all if it was cancelled before.
      await new Promise((resolve) => setImmediate(resolve));
      signal.throwIfAborted();
      const result = await operation.run(input, this.#contextOf(job.call, { signal, usage, progress }));
      signal.throwIfAborted();
      const { total } = usage;
      const metadata = total && { usage: { tokens: total.tokens, model: total.model } };
      return () =>
        this.#send(this.#notifier.notifyTaskCompletion({ ...notice, result, ...(metadata && { metadata }) }));
    } catch (error) {
      const failure = this.#failureOf(signal.aborted ? signal.reason : error, job.call);
      if (signal.aborted && failure.code === 'cancelled') return undefined;
      const { code: error_type, retryable } = failure;
      return () =>
        this.#send(this.#notifier.notifyTaskFailure({ ...notice, error: failure, error_type, retryable }));
    }
  }

  #contextOf(
    call: ServiceCall,
    own: { signal: AbortSignal; usage: UsageCount; progress: OperationContext['progress'] },
  ): OperationContext {
    const { tenant_id, session_id, task_id, call_id } = call;
    const user = call.metadata.user_id;
    const scope = { tenant_id, task_id, ...(session_id !== undefined && { session_id }) };
    return {
      ...scope,
      call_id,
      ...(user !== undefined && user !== null && { user_id: user }),
      signal: own.signal,
      progress: own.progress,
      call: (service, operation, input) =>
        this.#gateway.call({ ...scope, service, operation, input, signal: own.signal }),
      used: (tokens, model) => own.usage.add(tokens, model),
    };
  }

  #cancel(frame: TaskCancel): void {
    for (const job of this.#jobs.values()) {
      const isMeant = job.call.call_id === frame.call_id || job.id === frame.task_id;
      if (!isMeant || job.call.tenant_id !== frame.tenant_id) continue;
      job.abort.abort(new OrchestratorError('cancelled', frame.reason));
    }
  }

  #failureOf(error: unknown, call: ServiceCall): OrchestratorError {
    if (error instanceof OrchestratorError) return error;
    const where = `${this.name}.${call.operation}`;
    this.#report(error, where);
    return new OrchestratorError('internal_error', `${where} failed unexpectedly`, {
      retryable: false,
      cause: error,
    });
  }

  #send(sending: Promise<unknown>): void {
    sending.catch((error: unknown) => this.#report(error, `${this.name} notifier`));
  }
}

function noticeOf(job: Job): JobNotice {
  const { tenant_id, call_id, task_id } = job.call;
  return { task_id: job.id, tenant_id, call_id, global_task_id: task_id };
}

class UsageCount {
  #total: Usage | undefined;

  get total(): Usage | undefined {
    return this.#total;
  }

  /** The last model counts. */
  add(tokens: number, model: string): void {
    this.#total = { tokens: (this.#total?.tokens ?? 0) + tokens, model };
  }
}

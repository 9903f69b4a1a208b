import { randomBytes, randomUUID } from 'node:crypto';
import {
  accepted,
  answered,
  type JsonObject,
  type JsonValue,
  OrchestratorError,
  type ServiceCall,
} from '@agent-orchestrator/core';
import { type ServiceReply } from '@agent-orchestrator/core/protocol';
import type { CheckHub } from './check-hub.js';
import type { CheckLimits } from './check-limits.js';
import { type Answer, answerOf, type Exchange, post } from './exchange.js';
import type { HubFront } from './hub-front.js';
import { isOutcome, jobOf, type Report } from './report.js';
import { ServiceWatch } from './service-watch.js';

export interface SubjectOptions {
  /** Address of the service. */
  readonly url: string;
  readonly operation: string;
  readonly input: JsonValue;
  /** Input that the operation has to refuse. */
  readonly badInput?: JsonValue | undefined;
  readonly token: string;
  readonly limits: CheckLimits;
  readonly signal: AbortSignal;
}

/** A call of a task. */
export interface Call {
  readonly body: JsonObject & {
    readonly call_id: string;
    readonly task_id: string;
    readonly tenant_id: string;
  };
  readonly startedAt: number;
  /** One for each time it was sent. */
  readonly exchanges: Exchange[];
  /** Answer of the first exchange. */
  answer: Answer;
  answeredAt: number;
}

export interface WantedCall {
  readonly tenant?: string;
  readonly session?: string;
  /** Additional fields of the body. */
  readonly more?: JsonObject;
  /** Concurrent requests. Default 1. */
  readonly times?: number;
}

export const TENANT = 'check-a';
export const OTHER_TENANT = 'check-b';

/** The service under check, with its calls and reports. */
export class Subject {
  readonly options: SubjectOptions;
  readonly hub: CheckHub;
  /** Whether something still listens at the URL. */
  readonly watch: ServiceWatch;
  /** Aborts every wait and request: at an interrupt, or when the service is gone. */
  readonly signal: AbortSignal;
  /** All calls, oldest first. */
  readonly calls: Call[] = [];

  constructor(options: SubjectOptions, hub: CheckHub) {
    this.options = options;
    this.hub = hub;
    const { url, limits, signal } = options;
    this.watch = new ServiceWatch({ url, graceMs: limits.reachMs, signal });
    this.signal = AbortSignal.any([signal, this.watch.signal]);
  }

  get front(): HubFront {
    return this.hub.front;
  }

  get limits(): CheckLimits {
    return this.options.limits;
  }

  /** Call of the first check. */
  get first(): Call {
    const [first] = this.calls;
    if (!first) throw new Error('expected a first call, got none');
    return first;
  }

  /** Whether the service has ever contacted the hub. */
  get isInTouch(): boolean {
    return this.front.reports.length > 0 || this.front.links.some((link) => link.admitted);
  }

  /** Calls the operation from a task, and resolves with the answer. */
  async call({ tenant = TENANT, session, more = {}, times = 1 }: WantedCall = {}): Promise<Call> {
    let made: Call | undefined;
    await this.hub.delegate({ tenant, session }, async (asked) => {
      const call: Call = {
        body: { ...asked, metadata: this.#metadata(asked), ...more } as unknown as Call['body'],
        startedAt: performance.now(),
        exchanges: [],
        answer: { kind: 'wrong', expected: 'an answer', got: 'none yet' },
        answeredAt: Infinity,
      };
      made = call;
      this.calls.push(call);
      const sent = Array.from({ length: times }, () => this.post({ body: call.body }));
      call.exchanges.push(...(await Promise.all(sent)));
      call.answer = answerOf(call.exchanges[0] as Exchange);
      call.answeredAt = performance.now();
      return replyOf(call.answer);
    });
    this.signal.throwIfAborted();
    if (!made) throw new Error('expected a task that calls the service, got one that did not');
    return made;
  }

  /** Resends a call: same body, same key. */
  async again(call: Call): Promise<Exchange> {
    const exchange = await this.post({ body: call.body });
    call.exchanges.push(exchange);
    return exchange;
  }

  /** A call without a task, for requests to be refused. */
  madeUpCall(input: JsonValue = this.options.input, operation = this.options.operation): JsonObject {
    const ids = { call_id: randomUUID(), task_id: randomUUID(), tenant_id: TENANT };
    return { ...ids, operation, input, attempt: 1, metadata: {} };
  }

  /** One POST to the service. `token`: `null` sends none. */
  post(wanted: {
    readonly body: JsonObject | string;
    readonly operation?: string;
    readonly token?: string | null;
  }): Promise<Exchange> {
    const { operation = this.options.operation, token = this.options.token } = wanted;
    const call = typeof wanted.body === 'string' ? this.madeUpCall() : wanted.body;
    const { call_id, tenant_id, task_id, session_id } = call as Record<string, string | undefined>;
    return post({
      url: `${this.options.url.replace(/\/$/, '')}/${operation}`,
      headers: {
        'content-type': 'application/json',
        accept: 'application/json',
        'idempotency-key': call_id ?? '',
        'x-tenant-id': tenant_id ?? '',
        'x-task-id': task_id ?? '',
        ...(session_id !== undefined && { 'x-session-id': session_id }),
        traceparent: `00-${randomBytes(16).toString('hex')}-${randomBytes(8).toString('hex')}-01`,
        ...(token !== null && { authorization: `Bearer ${token}` }),
      },
      body: typeof wanted.body === 'string' ? wanted.body : JSON.stringify(call),
      limitMs: this.limits.answerMs,
      signal: this.signal,
    });
  }

  /** Call of a report, if it names one. */
  callOf(report: Report): Call | undefined {
    const { frame } = report;
    if (!frame) return undefined;
    const byId = this.calls.find(({ body }) => body.call_id === frame['call_id']);
    return byId ?? this.calls.findLast((call) => namesJob(report, call)) ?? this.#byTask(report);
  }

  reportsOf(call: Call): Report[] {
    return this.front.reports.filter((report) => this.callOf(report) === call);
  }

  outcomesOf(call: Call): Report[] {
    return this.reportsOf(call).filter(isOutcome);
  }

  /**
   * First result of `look`; `undefined` once the service was silent for too long after the call. A service
   * that never contacted the hub gets the time of a reconnect.
   */
  reported<T>(call: Call, look: () => T | undefined): Promise<T | undefined> {
    const { silenceMs, connectMs, jobMs } = this.limits;
    const until = () => {
      const last = this.front.reports.at(-1)?.at ?? 0;
      const known = Math.min(Math.max(call.answeredAt, last) + silenceMs, call.answeredAt + jobMs);
      return this.isInTouch ? known : Math.max(known, this.hub.startedAt + connectMs);
    };
    return this.front.events.until(look, until, this.signal);
  }

  /** First result of `look` within a time from now. */
  within<T>(ms: number, look: () => T | undefined): Promise<T | undefined> {
    const until = performance.now() + ms;
    return this.front.events.until(look, () => until, this.signal);
  }

  /** Waits for `ms`. */
  async pause(ms: number): Promise<void> {
    await this.within(ms, () => undefined);
  }

  /** A service may derive its reporting interval from it. */
  #metadata({ metadata: { user_id } }: ServiceCall): JsonObject {
    return { user_id: user_id ?? null, timeout_ms: this.limits.silenceMs };
  }

  #byTask({ frame }: Report): Call | undefined {
    return this.calls.find(({ body }) => body.task_id === frame?.['global_task_id']);
  }
}

/** Whether a report has the service's own job id of the call. */
export function namesJob(report: Report, { answer, body }: Call): boolean {
  return (
    answer.kind === 'job' && jobOf(report) === answer.jobId && report.frame?.['tenant_id'] === body.tenant_id
  );
}

function replyOf(answer: Answer): ServiceReply {
  if (answer.kind === 'result') return answered(answer.result, answer.usage);
  if (answer.kind === 'job') return accepted(answer.jobId);
  throw new OrchestratorError('invalid_response', answer.got, { retryable: false });
}

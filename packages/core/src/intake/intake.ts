import { type Clock, pause } from '../runtime/clock.js';
import type { Logger } from '../runtime/logger.js';
import { ERROR_CODES, isErrorCode, type Issue, OrchestratorError } from '../protocol/errors.js';
import type { JsonValue } from '../protocol/json.js';
import {
  ACK_OUTCOMES,
  type AckOutcome,
  MAX_ERROR_TEXT,
  type Notification,
  notificationSchema,
} from '../protocol/service-socket.js';
import { DEFAULTS } from '../protocol/settings.js';
import { cutText } from '../protocol/text.js';
import { messageOf } from '../protocol/thrown.js';
import { validate } from '../protocol/validation.js';
import { inSpan } from '../tracing/spans.js';
import { usageOf } from '../services/reported-usage.js';
import type { Report, ReportAnswer } from '../storage/call-journal.js';
import type { Storage } from '../storage/storage.js';
import type { Hooks } from '../runtime/hooks.js';
import type { Prices } from '../usage/price-table.js';

/** Identity of an authenticated service. */
export interface ServiceIdentity {
  readonly service: string;
  /** Tenants in the token's scope. Default: all. */
  readonly tenants?: ReadonlySet<string>;
}

/** Result of a notification: its ack, without the message id. */
export interface IntakeResult {
  readonly outcome: AckOutcome;
  readonly global_task_id?: string;
  readonly errors?: readonly Issue[];
  readonly retry_after_ms?: number;
}

const RETRY_AFTER_MS = 1_000;

/** Receives notifications of services and returns the outcome of each. */
export class Intake {
  readonly #outcomes = Object.fromEntries(ACK_OUTCOMES.map((outcome) => [outcome, 0])) as Record<
    AckOutcome,
    number
  >;

  constructor(
    private readonly ports: {
      readonly storage: Storage;
      readonly clock: Clock;
      readonly logger: Logger;
      readonly hooks?: Hooks;
      /** Default: no costs. */
      readonly prices?: Prices;
    },
  ) {}

  /** Number of notifications by outcome. */
  get outcomes(): Readonly<Record<AckOutcome, number>> {
    return { ...this.#outcomes };
  }

  /**
   * Resolves with the outcome. A frame received before the response that names its job is held for up to `holdMs` (default
   * 60 s); then it is `unknown_task`, or `retry_later` with a shorter `holdMs`.
   */
  async receive(
    frame: JsonValue,
    from: ServiceIdentity,
    options: { readonly holdMs?: number; readonly signal: AbortSignal },
  ): Promise<IntakeResult> {
    const result = await this.#receive(frame, from, options);
    this.#outcomes[result.outcome] += 1;
    return result;
  }

  async #receive(
    frame: JsonValue,
    from: ServiceIdentity,
    options: { readonly holdMs?: number; readonly signal: AbortSignal },
  ): Promise<IntakeResult> {
    const ids = { service: from.service };
    try {
      const checked = check(frame);
      if (!('event' in checked)) return checked;
      Object.assign(ids, idsOf(checked));
      const inScope = from.tenants === undefined || from.tenants.has(checked.tenant_id);
      if (checked.service !== from.service || !inScope) return { outcome: 'forbidden' };
      const report = priced(toReport(checked, this.ports.logger), this.ports.prices);
      const answer = await this.#report(report, checked, options);
      if (answer.answer === 'applied') this.#emitUsage(report);
      return toResult(answer);
    } catch (error) {
      this.ports.logger.error('intake: a notification was not stored', { ...ids, error: messageOf(error) });
      return isOutage(error) ? { outcome: 'retry_later', retry_after_ms: RETRY_AFTER_MS } : notStored(error);
    }
  }

  /** An outcome is a span, child of the service's that reports it; progress is none. */
  async #report(
    report: Report,
    frame: Notification,
    options: { readonly holdMs?: number; readonly signal: AbortSignal },
  ): Promise<ReportAnswer> {
    const store = async () =>
      this.#awaitHeld(report.tenantId, await this.ports.storage.journal.report(report), options);
    if (report.body.kind === 'status') return store();
    const from = 'metadata' in frame ? frame.metadata?.['traceparent'] : undefined;
    const name = `receive ${frame.event}`;
    const parent = typeof from === 'string' ? from : undefined;
    const attributes = () => ({
      'messaging.system': 'agent_orchestrator',
      'messaging.destination.name': 'notifications',
      'messaging.operation.name': 'receive',
      'messaging.operation.type': 'receive' as const,
      'agent_orchestrator.service.name': report.service,
      'agent_orchestrator.tenant.id': report.tenantId,
    });
    return inSpan({ name, kind: 'consumer', parent, attributes }, async (span) => {
      const answer = await store();
      span?.set({ 'agent_orchestrator.notification.outcome': answer.answer });
      return answer;
    });
  }

  #emitUsage({ tenantId, service, body }: Report): void {
    if (body.kind !== 'outcome' || !body.usage) return;
    this.ports.hooks?.emit('tokensUsed', { tenantId, operation: service, usage: body.usage });
  }

  /** Polls the result of a held frame, with increasing intervals. */
  async #awaitHeld(
    tenantId: string,
    first: ReportAnswer,
    { holdMs = DEFAULTS.heldFrameMs, signal }: { readonly holdMs?: number; readonly signal: AbortSignal },
  ): Promise<ReportAnswer> {
    const { clock, storage } = this.ports;
    const until = clock.now() + holdMs;
    let answer = first;
    for (let waitMs = 10; answer.answer === 'held'; waitMs = Math.min(500, waitMs * 2)) {
      await pause(clock, waitMs, signal);
      if (signal.aborted) return { answer: 'retry_later' };
      answer = await storage.journal.heldReport({ tenantId, heldId: answer.heldId });
      if (answer.answer === 'held' && clock.now() >= until) {
        return { answer: holdMs < DEFAULTS.heldFrameMs ? 'retry_later' : 'unknown_task' };
      }
    }
    return answer;
  }
}

function priced(report: Report, prices: Prices | undefined): Report {
  const { body } = report;
  if (!prices || body.kind !== 'outcome' || !body.usage) return report;
  return { ...report, body: { ...body, usage: prices.priced(body.usage) } };
}

/** Whether the failure is temporary, so that a resend may succeed. */
function isOutage(error: unknown): boolean {
  return error instanceof OrchestratorError && ERROR_CODES[error.code].status === 503;
}

/** A permanent failure: a resend would fail again. */
function notStored(error: unknown): IntakeResult {
  const got = error instanceof OrchestratorError ? error.code : 'internal_error';
  const issue = { path: '', expected: 'a notification that can be stored', got };
  return {
    outcome: 'invalid',
    errors: error instanceof OrchestratorError ? (error.issues ?? [issue]) : [issue],
  };
}

/** Ids of a notification, safe to log. */
function idsOf(frame: Notification): Readonly<Record<string, string | undefined>> {
  const { tenant_id, message_id } = frame;
  const job = 'job_id' in frame ? frame.job_id : frame.task_id;
  return { tenant_id, job_id: job, message_id, call_id: 'call_id' in frame ? frame.call_id : undefined };
}

function check(frame: JsonValue): Notification | IntakeResult {
  try {
    return validate(notificationSchema, frame, 'notification', 'invalid_message');
  } catch (error) {
    if (error instanceof OrchestratorError) return { outcome: 'invalid', errors: error.issues ?? [] };
    throw error;
  }
}

function toReport(frame: Notification, logger: Logger): Report {
  const { service, tenant_id: tenantId, message_id: messageId } = frame;
  const common = { service, tenantId, ...(messageId !== undefined && { messageId }) };
  if (frame.event === 'job_completed') {
    return {
      ...common,
      jobId: frame.job_id,
      body: { kind: 'outcome', outcome: { ok: true, value: frame.result } },
    };
  }
  if (frame.event === 'job_failed') {
    const text = typeof frame.error === 'string' ? frame.error : JSON.stringify(frame.error);
    const message = cutText(text, MAX_ERROR_TEXT);
    const error = { code: 'service_error', message, retryable: false } as const;
    return { ...common, jobId: frame.job_id, body: { kind: 'outcome', outcome: { ok: false, error } } };
  }
  return {
    ...common,
    jobId: frame.task_id,
    ...(frame.call_id !== undefined && { callId: frame.call_id }),
    ...(frame.global_task_id !== undefined && { taskId: frame.global_task_id }),
    ...(frame.seq !== undefined && { seq: frame.seq }),
    ...(frame.metadata && { metadata: frame.metadata }),
    body: bodyOf(frame, logger),
  };
}

function bodyOf(
  frame: Notification & { event: 'task_completed' | 'task_failed' | 'task_status_update' },
  logger: Logger,
): Report['body'] {
  const used = usageOf(frame.metadata?.['usage'], logger, { service: frame.service, ...idsOf(frame) });
  switch (frame.event) {
    case 'task_completed':
      return { kind: 'outcome', outcome: { ok: true, value: frame.data }, ...used };
    case 'task_failed': {
      const { error: message, error_type, retryable = false } = frame.data;
      const code = isErrorCode(error_type) ? error_type : 'service_error';
      return { kind: 'outcome', outcome: { ok: false, error: { code, message, retryable } }, ...used };
    }
    case 'task_status_update':
      return { kind: 'status', status: frame.data.status, details: frame.data.details ?? {} };
    default:
      return frame satisfies never;
  }
}

function toResult(answer: ReportAnswer): IntakeResult {
  switch (answer.answer) {
    case 'applied':
    case 'duplicate':
    case 'stale':
    case 'late':
      return { outcome: answer.answer, global_task_id: answer.taskId };
    case 'unknown_task':
      return { outcome: 'unknown_task' };
    case 'retry_later':
    case 'held':
      return { outcome: 'retry_later', retry_after_ms: RETRY_AFTER_MS };
    default:
      return answer satisfies never;
  }
}

import { type Clock, pause } from '../clock.js';
import type { Logger } from '../logger.js';
import { isErrorCode, type Issue, OrchestratorError } from '../protocol/errors.js';
import type { JsonValue } from '../protocol/json.js';
import { usageSchema } from '../protocol/service-call.js';
import {
  ACK_OUTCOMES,
  type AckOutcome,
  type Notification,
  notificationSchema,
} from '../protocol/service-socket.js';
import { DEFAULTS } from '../protocol/settings.js';
import { validate } from '../protocol/validation.js';
import type { Report, ReportAnswer } from '../storage/call-journal.js';
import type { Storage } from '../storage/storage.js';

/** Who a service is, by its token. */
export interface ServiceIdentity {
  readonly service: string;
  /** Tenants within the token's scope. Default: all. */
  readonly tenants?: ReadonlySet<string>;
}

/** What became of a notification: the ack, without its message id. */
export interface IntakeResult {
  readonly outcome: AckOutcome;
  readonly global_task_id?: string;
  readonly errors?: readonly Issue[];
  readonly retry_after_ms?: number;
}

const RETRY_AFTER_MS = 1_000;

/** Takes in what services report, and says of each frame what became of it. */
export class Intake {
  readonly #outcomes = Object.fromEntries(ACK_OUTCOMES.map((outcome) => [outcome, 0])) as Record<
    AckOutcome,
    number
  >;

  constructor(
    private readonly ports: { readonly storage: Storage; readonly clock: Clock; readonly logger: Logger },
  ) {}

  /** How many notifications have had each outcome. */
  get outcomes(): Readonly<Record<AckOutcome, number>> {
    return { ...this.#outcomes };
  }

  /**
   * Resolves when the outcome is known. A frame that came before the answer which names its job is held for up to
   * `holdMs` (default 60 s), then it is `unknown_task`, or `retry_later` where a shorter time was asked for.
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
    const checked = check(frame);
    if (!('event' in checked)) return checked;
    const inScope = from.tenants === undefined || from.tenants.has(checked.tenant_id);
    if (checked.service !== from.service || !inScope) return { outcome: 'forbidden' };
    try {
      const report = toReport(checked);
      return toResult(
        await this.#outlast(report.tenantId, await this.ports.storage.journal.report(report), options),
      );
    } catch (error) {
      this.ports.logger.error('intake: a notification was not stored', {
        service: from.service,
        error: String(error),
      });
      return { outcome: 'retry_later', retry_after_ms: RETRY_AFTER_MS };
    }
  }

  /** Waits for a held frame's fate, looking less and less often. */
  async #outlast(
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

function check(frame: JsonValue): Notification | IntakeResult {
  try {
    return validate(notificationSchema, frame, 'notification', 'invalid_message');
  } catch (error) {
    if (error instanceof OrchestratorError) return { outcome: 'invalid', errors: error.issues ?? [] };
    throw error;
  }
}

function toReport(frame: Notification): Report {
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
    const message = typeof frame.error === 'string' ? frame.error : JSON.stringify(frame.error);
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
    body: bodyOf(frame),
  };
}

function bodyOf(
  frame: Notification & { event: 'task_completed' | 'task_failed' | 'task_status_update' },
): Report['body'] {
  const usage = usageSchema.safeParse(frame.metadata?.['usage']);
  const used = usage.success ? { usage: usage.data } : {};
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

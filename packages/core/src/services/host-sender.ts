import { addFieldCopy } from '../protocol/bounded-json.js';
import { type ErrorCode, isErrorCode, OrchestratorError } from '../protocol/errors.js';
import { jobIdSchema } from '../protocol/ids.js';
import type { JsonValue } from '../protocol/json.js';
import { addUnread, composedText, unreadText } from '../protocol/known-text.js';
import { clampDelay } from '../protocol/retry-after.js';
import { messageOf, type StepFailure, storedDiagnostic, toTaskError } from '../protocol/thrown.js';
import { describe, validate } from '../protocol/validation.js';
import type { Clock } from '../runtime/clock.js';
import type { Logger } from '../runtime/logger.js';
import { type CallStage, failure, type OutboundCall, type SendResult } from './call-stage.js';
import { usageOf } from './reported-usage.js';
import type { SenderService } from './service-settings.js';
import { withinTimeLimit } from './time-limit.js';

interface Ports {
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Sends through the host's sender, with the time limit of the service. */
export function sendByHost(
  ports: Ports,
  service: SenderService,
  outbound: OutboundCall,
): Promise<SendResult> {
  return withinTimeLimit(ports.clock, outbound, async ({ signal }, untilStopped) => {
    const sent = await untilStopped(service.send({ ...outbound, signal }));
    return checkedResult(sent, outbound, ports.logger);
  });
}

/** A stage of the host. What it returns is checked, also what `next` returned: the stage may have changed that in place. */
export function hostStage(stage: CallStage, logger: Logger): CallStage {
  return async (outbound, next) => {
    const result = await stage(outbound, async (call) => changeable(await next(call)));
    return checkedResult(result, outbound, logger);
  };
}

/**
 * A result that a stage may change in place: a value with a known text, which would hide changes, becomes a field that is parsed on
 * first access. One that no stage reads stays text.
 */
function changeable(result: SendResult): SendResult {
  if (result.kind !== 'answer' || result.answer.kind !== 'outcome' || !result.answer.outcome.ok)
    return result;
  const { answer } = result;
  const text = unreadText(answer.outcome, 'value') ?? composedText(result.answer.outcome.value);
  if (text === undefined) return result;
  const outcome: { ok: true; value: JsonValue } = { ok: true, value: null };
  addUnread(outcome, 'value', text);
  return { ...result, answer: { ...answer, outcome } };
}

/** @throws {OrchestratorError} `invalid_response` for anything else than a `SendResult` of JSON values. */
function checkedResult(sent: unknown, outbound: OutboundCall, logger: Logger): SendResult {
  const what = `service "${outbound.service.name}"`;
  if (!isRecord(sent)) throw unexpected(what, 'a SendResult', sent);
  if (sent['kind'] === 'transient') return transient(sent);
  const { answer } = sent;
  if (sent['kind'] !== 'answer' || !isRecord(answer)) throw unexpected(what, 'a SendResult', sent['kind']);
  if (answer['kind'] === 'accepted') {
    const jobId = validate(jobIdSchema, answer['jobId'], `${what}: job_id`, 'invalid_response');
    return { kind: 'answer', answer: { kind: 'accepted', jobId } };
  }
  const { outcome } = answer;
  if (!isRecord(outcome)) throw unexpected(what, 'an outcome', outcome);
  if (outcome['ok'] !== true) {
    return failure(taskErrorOf(outcome['error'], 'service_error'));
  }
  const copied: { ok: true; value: JsonValue } = { ok: true, value: null };
  const rule = { what: `the result of ${what}`, invalid: 'invalid_response' } as const;
  addFieldCopy(outcome as { readonly value: unknown }, copied, 'value', rule);
  const { tenant_id, task_id, call_id } = outbound.call;
  const ids = { service: outbound.service.name, tenant_id, task_id, call_id };
  return {
    kind: 'answer',
    answer: { kind: 'outcome', outcome: copied, ...usageOf(answer['usage'], logger, ids) },
  };
}

function transient({ error, retryAfterMs, connection }: Record<string, unknown>): SendResult {
  return {
    kind: 'transient',
    error: { ...taskErrorOf(error, 'service_unavailable'), retryable: true },
    ...(typeof retryAfterMs === 'number' && retryAfterMs >= 0 && { retryAfterMs }),
    ...((connection === 'none' || connection === 'broke') && { connection }),
  };
}

/** An error returned as data is one on purpose: its message is for tenants, unless it is `foreign`, as of what `next` returned. */
function taskErrorOf(error: unknown, fallback: ErrorCode): StepFailure {
  if (!isRecord(error) || !isErrorCode(error['code'])) return toTaskError(error, fallback);
  const stored = { code: error['code'], message: messageOf(error), retryable: error['retryable'] === true };
  const retryAfterMs = clampDelay(error['retryAfterMs'] as number | undefined);
  if (retryAfterMs !== undefined) Object.assign(stored, { retryAfterMs });
  if (error['foreign'] !== true) return stored;
  const diagnostic = storedDiagnostic(error['diagnostic']);
  return { ...stored, foreign: true, ...(diagnostic && { diagnostic }) };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function unexpected(what: string, expected: string, got: unknown): OrchestratorError {
  return new OrchestratorError('invalid_response', `${what}: expected ${expected}, got ${describe(got)}`);
}

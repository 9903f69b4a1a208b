import type { Dispatcher } from 'undici';
import { isErrorCode, OrchestratorError, type TaskError } from '../protocol/errors.js';
import { addCopy, RESULT } from '../protocol/bounded-json.js';
import { JsonRefusedError, type JsonValue, MAX_RESULT_BYTES } from '../protocol/json.js';
import { writeJson } from '../protocol/known-text.js';
import type { TurnsOptions } from '../protocol/loop-turns.js';
import { parseJsonInPortions } from '../protocol/portioned-json.js';
import { readRetryAfter } from '../protocol/retry-after.js';
import { acceptedSchema, answeredSchema } from '../protocol/service-call.js';
import { cutText } from '../protocol/text.js';
import { validate } from '../protocol/validation.js';
import type { StepOutcome } from '../storage/call-journal.js';
import type { Clock } from '../runtime/clock.js';
import type { Logger } from '../runtime/logger.js';
import { setOnActiveSpan } from '../tracing/spans.js';
import type { HttpClient } from './http-client.js';
import { failure, type OutboundCall, type SendResult } from './call-stage.js';
import { usageOf } from './reported-usage.js';
import type { HttpService } from './service-settings.js';

export interface HttpPorts {
  readonly client: HttpClient;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Maximum length of a kept problem title, in UTF-16 units. */
const MAX_TITLE = 500;

/** Codes of Node and undici for a failed connection attempt. A broken connection is inconclusive about the service. */
const NO_CONNECTION = new Set([
  'EAI_AGAIN',
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'UND_ERR_CONNECT_TIMEOUT',
]);

/** 4xx statuses after which the call is resent. */
const TRANSIENT = new Set([408, 425, 429]);

/**
 * `POST {url}/{operation}`. Follows no redirects, requests no compression; limits time and size of the whole response.
 */
export async function sendHttp(
  { client, clock, logger }: HttpPorts,
  service: HttpService,
  outbound: OutboundCall,
): Promise<SendResult> {
  const { call, signal } = outbound;
  // Before the time limit begins: the first call of a process would pay for it.
  await client.load();
  const limit = new AbortController();
  const cancel = clock.after(service.timeoutMs, () => limit.abort());
  try {
    const response = await client.request(`${service.url.replace(/\/$/, '')}/${call.operation}`, {
      method: 'POST',
      headers: headersOf(outbound, service.token),
      body: writeJson(call),
      signal: AbortSignal.any([signal, limit.signal]),
    });
    setOnActiveSpan({ 'http.response.status_code': response.statusCode });
    const body = await readBody(response.body);
    return await toResult(outbound, { ...response, body }, logger);
  } catch (error) {
    if (error instanceof OrchestratorError)
      return failure({ code: error.code, message: error.message, retryable: false });
    if (limit.signal.aborted) {
      const late = transientFailure(
        'timeout',
        `service "${service.name}" has not responded within ${service.timeoutMs} ms`,
      );
      return { ...late, connection: 'broke' };
    }
    // Only the code: the message names hosts and ports of the operator's network.
    const { code } = error as { code?: unknown };
    const why = typeof code === 'string' ? code : 'no answer';
    const result = transientFailure('service_unavailable', `${service.name} cannot be reached (${why})`);
    return { ...result, connection: NO_CONNECTION.has(why) ? 'none' : 'broke' };
  } finally {
    cancel();
  }
}

function headersOf({ call, traceparent }: OutboundCall, token: string | undefined): Record<string, string> {
  return {
    'content-type': 'application/json',
    accept: 'application/json',
    'idempotency-key': call.call_id,
    'x-tenant-id': call.tenant_id,
    'x-task-id': call.task_id,
    ...(call.session_id !== undefined && { 'x-session-id': call.session_id }),
    ...(traceparent !== undefined && { traceparent }),
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
  };
}

/** @throws {OrchestratorError} `result_too_large` as soon as the limit is exceeded. */
async function readBody(body: Dispatcher.ResponseData['body']): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_RESULT_BYTES) {
      body.destroy();
      throw new OrchestratorError('result_too_large', `expected at most ${MAX_RESULT_BYTES} bytes, got more`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

interface Answer {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

async function toResult(outbound: OutboundCall, answer: Answer, logger: Logger): Promise<SendResult> {
  const { statusCode: status, headers, body } = answer;
  const { name } = outbound.service;
  if (status === 200 || status === 202) return toAnswer(outbound, answer, logger);
  const problem = await problemOf(body, { share: outbound.call.tenant_id, signal: outbound.signal });
  const given = problem['title'];
  const title =
    typeof given === 'string' && given !== '' ? cutText(given, MAX_TITLE) : `${name} answered ${status}`;
  if (TRANSIENT.has(status) || status >= 500) {
    const code = status === 408 ? 'timeout' : status === 429 ? 'rate_limited' : 'service_unavailable';
    const retryAfter = headers['retry-after'];
    return transientFailure(
      code,
      title,
      readRetryAfter(Array.isArray(retryAfter) ? retryAfter[0] : retryAfter),
    );
  }
  if (status < 400) return invalid(`${name}: expected status 200 or 202, got ${status}`);
  const code = isErrorCode(problem['code']) ? problem['code'] : 'service_error';
  return failure({ code, message: title, retryable: false });
}

/** Parses a complete response, one portion per turn, until `signal` fires. */
async function toAnswer(
  { service, call, signal }: OutboundCall,
  { statusCode, body: bytes }: Answer,
  logger: Logger,
): Promise<SendResult> {
  const what = `${service.name}'s answer`;
  try {
    const body = await parseJsonInPortions(textOf(bytes), {
      share: call.tenant_id,
      stage: 'runs',
      signal,
    });
    if (statusCode === 202) {
      const { job_id } = validate(acceptedSchema, body, what, 'invalid_response');
      return { kind: 'answer', answer: { kind: 'accepted', jobId: job_id } };
    }
    const { result, usage } = validate(answeredSchema, body, what, 'invalid_response');
    const { tenant_id, task_id, call_id } = call;
    const used = usageOf(usage, logger, { service: service.name, tenant_id, task_id, call_id });
    return { kind: 'answer', answer: { kind: 'outcome', outcome: successOf(result), ...used } };
  } catch (error) {
    if (error instanceof JsonRefusedError) return invalid(`${what}: ${error.reason}`);
    if (error instanceof OrchestratorError) return invalid(error.message);
    throw error;
  }
}

/** Serialises a long string once, here; for other large results the text is known. */
function successOf(value: JsonValue): StepOutcome & { readonly ok: true } {
  const outcome: { ok: true; value: JsonValue } = { ok: true, value };
  if (typeof value === 'string') addCopy(outcome, 'value', value, RESULT);
  return outcome;
}

/** A byte order mark is not part of the text (RFC 8259, 8.1). @throws {JsonRefusedError} for what is not UTF-8. */
function textOf(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new JsonRefusedError('expected UTF-8, got other bytes');
  }
}

/** Body of a failure response; empty if unreadable, since the status is decisive. */
async function problemOf(bytes: Buffer, turns: TurnsOptions): Promise<{ [key: string]: JsonValue }> {
  try {
    const body = await parseJsonInPortions(new TextDecoder().decode(bytes), turns);
    return typeof body === 'object' && body !== null && !Array.isArray(body) ? body : {};
  } catch (error) {
    if (error instanceof JsonRefusedError) return {};
    throw error;
  }
}

function transientFailure(code: TaskError['code'], message: string, retryAfter?: number) {
  const error: TaskError = { code, message, retryable: true };
  return { kind: 'transient' as const, error, ...(retryAfter !== undefined && { retryAfterMs: retryAfter }) };
}

function invalid(message: string): SendResult {
  return failure({ code: 'invalid_response', message, retryable: false });
}

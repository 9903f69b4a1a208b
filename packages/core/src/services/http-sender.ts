import { type Dispatcher, request } from 'undici';
import { isErrorCode, OrchestratorError, type TaskError } from '../protocol/errors.js';
import { JsonRefusedError, type JsonValue, MAX_RESULT_BYTES, parseJson } from '../protocol/json.js';
import { acceptedSchema, answeredSchema } from '../protocol/service-call.js';
import { validate } from '../protocol/validation.js';
import { failure, type OutboundCall, type SendResult } from './call-stage.js';

/** Answers after which the same call is sent again. */
const PASSING = new Set([408, 425, 429]);

/**
 * `POST {url}/{operation}`. Redirects are not followed, compressed answers not asked for; time and size of the whole
 * answer are limited.
 */
export async function sendHttp(dispatcher: Dispatcher, outbound: OutboundCall): Promise<SendResult> {
  const { service, call, signal } = outbound;
  if (service.in !== 'http') throw new TypeError(`${service.name} is not called over HTTP`);
  const limit = AbortSignal.timeout(service.timeoutMs);
  try {
    const response = await request(`${service.url.replace(/\/$/, '')}/${call.operation}`, {
      dispatcher,
      method: 'POST',
      headers: headersOf(outbound, service.token),
      body: JSON.stringify(call),
      signal: AbortSignal.any([signal, limit]),
    });
    const text = await readBody(response.body);
    return toResult(service.name, response.statusCode, response.headers['retry-after'], text);
  } catch (error) {
    if (error instanceof OrchestratorError)
      return failure({ code: error.code, message: error.message, retryable: false });
    if (limit.aborted) {
      return again('timeout', `${service.name} has not answered within ${service.timeoutMs} ms`);
    }
    // The text of a network error names hosts and ports of the operator's network: its code says enough.
    const code = (error as { code?: unknown }).code;
    return again(
      'service_unavailable',
      `${service.name} cannot be reached (${typeof code === 'string' ? code : 'no answer'})`,
    );
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

/** @throws {OrchestratorError} `result_too_large` as soon as more than the limit has come. */
async function readBody(body: Dispatcher.ResponseData['body']): Promise<string> {
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
  return Buffer.concat(chunks).toString('utf8');
}

function toResult(
  service: string,
  status: number,
  retryAfter: string | string[] | undefined,
  text: string,
): SendResult {
  if (status === 200 || status === 202) return toAnswer(service, status, text);
  const problem = problemOf(text);
  const title =
    typeof problem['title'] === 'string' ? problem['title'].slice(0, 500) : `${service} answered ${status}`;
  if (PASSING.has(status) || status >= 500) {
    const code = status === 408 ? 'timeout' : status === 429 ? 'rate_limited' : 'service_unavailable';
    return again(code, title, retryAfterMs(retryAfter));
  }
  if (status < 400) return invalid(`${service}: expected status 200 or 202, got ${status}`);
  const code = isErrorCode(problem['code']) ? problem['code'] : 'service_error';
  return failure({ code, message: title, retryable: false });
}

function toAnswer(service: string, status: 200 | 202, text: string): SendResult {
  try {
    const body = parseJson(text);
    if (status === 202) {
      const { job_id } = validate(acceptedSchema, body, `${service}'s answer`, 'invalid_response');
      return { kind: 'answer', answer: { kind: 'accepted', jobId: job_id } };
    }
    const { result, usage } = validate(answeredSchema, body, `${service}'s answer`, 'invalid_response');
    return {
      kind: 'answer',
      answer: { kind: 'outcome', outcome: { ok: true, value: result }, ...(usage && { usage }) },
    };
  } catch (error) {
    if (error instanceof JsonRefusedError) return invalid(`${service}'s answer: ${error.reason}`);
    if (error instanceof OrchestratorError) return invalid(error.message);
    throw error;
  }
}

function problemOf(text: string): { [key: string]: JsonValue } {
  try {
    const body = parseJson(text);
    return typeof body === 'object' && body !== null && !Array.isArray(body) ? body : {};
  } catch (error) {
    if (error instanceof JsonRefusedError) return {};
    throw error;
  }
}

function retryAfterMs(header: string | string[] | undefined): number | undefined {
  if (typeof header !== 'string') return undefined;
  const seconds = Number(header);
  if (Number.isFinite(seconds)) return Math.max(0, seconds * 1_000);
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, date - Date.now());
}

function again(code: TaskError['code'], message: string, retryAfter?: number): SendResult {
  const error: TaskError = { code, message, retryable: true };
  return { kind: 'again', error, ...(retryAfter !== undefined && { retryAfterMs: retryAfter }) };
}

function invalid(message: string): SendResult {
  return failure({ code: 'invalid_response', message, retryable: false });
}

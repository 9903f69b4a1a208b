import { request as httpRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { type JsonValue, OrchestratorError, type Usage } from '@agent-orchestrator/core';
import {
  acceptedSchema,
  answeredSchema,
  cutText,
  JsonRefusedError,
  MAX_RESULT_BYTES,
  parseJson,
  readUsage,
  validate,
} from '@agent-orchestrator/core/protocol';

/** Result of a request to the service. */
export type Exchange =
  | {
      readonly kind: 'answer';
      readonly status: number;
      readonly headers: IncomingHttpHeaders;
      /** At most slightly more than 1 MiB. */
      readonly text: string;
      readonly bytes: number;
      readonly ms: number;
    }
  | { readonly kind: 'late'; readonly ms: number }
  /** A refused or broken connection. `code` as in Node: `ECONNREFUSED`. */
  | { readonly kind: 'broken'; readonly code: string; readonly ms: number };

export interface Posting {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly limitMs: number;
  readonly signal: AbortSignal;
}

/** One POST as the orchestrator sends it: no redirects, no decompression, limits on time and size. */
export function post({ url, headers, body, limitMs, signal }: Posting): Promise<Exchange> {
  const startedAt = performance.now();
  const ms = () => Math.round(performance.now() - startedAt);
  const limit = AbortSignal.timeout(limitMs);
  return new Promise((resolve, reject) => {
    const fail = (error: NodeJS.ErrnoException) => {
      if (signal.aborted) reject(signal.reason as Error);
      else if (limit.aborted) resolve({ kind: 'late', ms: ms() });
      else resolve({ kind: 'broken', code: error.code ?? error.message, ms: ms() });
    };
    const send = new URL(url).protocol === 'https:' ? httpsRequest : httpRequest;
    const request = send(url, {
      method: 'POST',
      headers: { ...headers, 'content-length': Buffer.byteLength(body) },
      agent: false,
      signal: AbortSignal.any([signal, limit]),
    });
    request.once('error', fail);
    request.once('response', (response) => {
      bodyOf(response).then(({ text, bytes }) => {
        const { statusCode: status = 0 } = response;
        resolve({ kind: 'answer', status, headers: response.headers, text, bytes, ms: ms() });
      }, fail);
    });
    request.end(body);
  });
}

async function bodyOf(response: IncomingMessage): Promise<{ text: string; bytes: number }> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    chunks.push(chunk);
    if (bytes > MAX_RESULT_BYTES) break;
  }
  return { text: Buffer.concat(chunks).toString('utf8'), bytes };
}

/** The orchestrator's interpretation of a response. */
export type Answer =
  | { readonly kind: 'result'; readonly result: JsonValue; readonly usage: Usage | undefined }
  | { readonly kind: 'job'; readonly jobId: string }
  | { readonly kind: 'wrong'; readonly expected: string; readonly got: string };

export function answerOf(exchange: Exchange): Answer {
  const expected = '200 with {"result": …} or 202 with {"job_id": "…"}';
  const wrong = (got: string, instead = expected): Answer => ({ kind: 'wrong', expected: instead, got });
  if (exchange.kind !== 'answer' || (exchange.status !== 200 && exchange.status !== 202)) {
    return wrong(inWords(exchange));
  }
  if (exchange.bytes > MAX_RESULT_BYTES) return wrong(`more than ${MAX_RESULT_BYTES} bytes`);
  try {
    const body = parseJson(exchange.text);
    if (exchange.status === 202) {
      return { kind: 'job', jobId: validate(acceptedSchema, body, 'the body of the 202').job_id };
    }
    const { result, usage } = validate(answeredSchema, body, 'the body of the 200');
    return { kind: 'result', result, usage: readUsage(usage) };
  } catch (error) {
    if (error instanceof JsonRefusedError) {
      return wrong(`${error.reason.replace(/^.*got /, '')} in ${inWords(exchange)}`, 'a body of JSON');
    }
    if (!(error instanceof OrchestratorError)) throw error;
    const [issue] = error.issues ?? [];
    const where = issue?.path ? `"${issue.path}": ` : '';
    return wrong(
      `${where}${issue?.got} in ${inWords(exchange)}`,
      `${where}${issue?.expected}, in ${expected}`,
    );
  }
}

/** Whether an orchestrator resends the call after this status. */
export function isPassing(status: number): boolean {
  return status === 408 || status === 425 || status === 429 || status >= 500;
}

/** A non-retryable 4xx. */
export function isFinalRefusal(exchange: Exchange): exchange is Exchange & { readonly kind: 'answer' } {
  return (
    exchange.kind === 'answer' &&
    exchange.status >= 400 &&
    exchange.status < 500 &&
    !isPassing(exchange.status)
  );
}

/** `code` of a problem body. */
export function problemCode({ text }: Exchange & { readonly kind: 'answer' }): string | undefined {
  try {
    const body = parseJson(text);
    if (typeof body !== 'object' || body === null || Array.isArray(body)) return undefined;
    return typeof body['code'] === 'string' && body['code'] !== '' ? body['code'] : undefined;
  } catch (error) {
    if (error instanceof JsonRefusedError) return undefined;
    throw error;
  }
}

const SHOWN = 120;

export function shortened(text: string, most = SHOWN): string {
  return cutText(text, most, '…');
}

export function inWords(exchange: Exchange): string {
  if (exchange.kind === 'late') return `no answer within ${exchange.ms} ms`;
  if (exchange.kind === 'broken') return `no answer (${exchange.code})`;
  const body = exchange.text === '' ? 'without a body' : shortened(exchange.text);
  return `${exchange.status} ${body}`;
}

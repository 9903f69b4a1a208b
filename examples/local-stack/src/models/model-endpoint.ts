import { type JsonObject, OrchestratorError } from '@agent-orchestrator/core';
import { fullJitter, readRetryAfter } from '@agent-orchestrator/core/protocol';
import { genAiCallAttributes, inSpan, pause } from '@agent-orchestrator/core/server';
import { systemClock, systemRandom } from '@agent-orchestrator/core/storage';

/** An OpenAI-compatible server: OpenAI, Ollama, vLLM, llama.cpp, LM Studio, … */
export interface ModelEndpoint {
  /** Base URL, such as `http://localhost:11434`, with or without `/v1` at its end. */
  readonly url: string;
  /** Sent as `Authorization: Bearer`. */
  readonly key?: string;
  readonly model: string;
  /** Time limit of a request, ms. Default 60,000. */
  readonly timeoutMs?: number;
  /** How often the model is asked for one answer, while it fails in a way that may pass. Default 3. */
  readonly tries?: number;
}

const TRIES = 3;
const BASE_MS = 500;
const CAP_MS = 5_000;
/** Longest `Retry-After` that a job waits for. */
const MAX_RETRY_AFTER_MS = 120_000;

/**
 * Posts to `/v1/{path}` of the server, without following redirects.
 *
 * @throws {OrchestratorError} `service_unavailable`; `service_error`, not retryable, if the server rejects the request itself.
 */
export async function postToModel(
  endpoint: ModelEndpoint,
  path: string,
  body: JsonObject,
  signal: AbortSignal,
): Promise<Response> {
  const url = `${endpoint.url.replace(/\/+$/, '').replace(/\/v1$/, '')}/v1/${path}`;
  const headers = {
    'content-type': 'application/json',
    ...(endpoint.key !== undefined && { authorization: `Bearer ${endpoint.key}` }),
  };
  const response = await fetch(url, {
    method: 'POST',
    headers,
    body: JSON.stringify(body),
    redirect: 'error',
    signal,
  });
  if (response.ok) return response;
  await response.body?.cancel();
  const { status } = response;
  const what = `the language model answered with status ${status}`;
  if (status < 500 && ![408, 425, 429].includes(status)) throw new OrchestratorError('service_error', what);
  const retryAfterMs = readRetryAfter(response.headers.get('retry-after'));
  throw new OrchestratorError(
    'service_unavailable',
    what,
    retryAfterMs === undefined ? {} : { retryAfterMs },
  );
}

export function modelFailed(what: string, cause?: unknown): OrchestratorError {
  return new OrchestratorError('service_unavailable', `the language model ${what}`, { cause });
}

/**
 * Asks a model, again after a failure that may pass: full jitter, not before its `Retry-After`. This service talks to the model, so
 * it owns the retries: the failure of the last try is not retryable, for no caller must ask as often again. Throws an
 * OrchestratorError, or the reason of `signal`.
 */
export async function askModel<T>(
  endpoint: ModelEndpoint,
  {
    operation,
    signal,
  }: { readonly operation: 'query.complete' | 'embedding.embed'; readonly signal: AbortSignal },
  request: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { tries = TRIES } = endpoint;
  for (let asked = 1; ; asked += 1) {
    try {
      return await traced(endpoint, operation, () => withinTimeLimit(endpoint, signal, request));
    } catch (error) {
      if (!(error instanceof OrchestratorError) || !error.retryable) throw error;
      const requested = error.retryAfterMs ?? 0;
      if (asked >= tries || requested > MAX_RETRY_AFTER_MS) throw givenUp(error);
      const waitMs = Math.max(requested, fullJitter(systemRandom, asked, BASE_MS, CAP_MS));
      await pause(systemClock, waitMs, signal);
      signal.throwIfAborted();
    }
  }
}

/** A client span for each request. The model's server, which may be of another company, does not get it. */
function traced<T>(endpoint: ModelEndpoint, name: string, work: () => Promise<T>): Promise<T> {
  const [service = '', operation = ''] = name.split('.');
  const { hostname, port, protocol } = new URL(endpoint.url);
  const attributes = () => ({
    'http.request.method': 'POST',
    'server.address': hostname,
    'server.port': Number(port) || (protocol === 'https:' ? 443 : 80),
    ...genAiCallAttributes({ service, operation, input: () => ({ model: endpoint.model }) }),
  });
  return inSpan({ name: 'POST', kind: 'client', attributes }, work);
}

function givenUp(cause: OrchestratorError): OrchestratorError {
  const { code, message, retryAfterMs } = cause;
  return new OrchestratorError(code, message, {
    cause,
    retryable: false,
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  });
}

/** Runs one request to a model. Throws an OrchestratorError, or the reason of `signal`. */
async function withinTimeLimit<T>(
  endpoint: ModelEndpoint,
  signal: AbortSignal,
  request: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const timeoutMs = endpoint.timeoutMs ?? 60_000;
  const timeout = AbortSignal.timeout(timeoutMs);
  try {
    return await request(AbortSignal.any([signal, timeout]));
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof OrchestratorError) throw error;
    if (timeout.aborted) throw modelFailed(`did not finish within ${timeoutMs} ms`, error);
    throw modelFailed('cannot be reached or broke off', error);
  }
}

/**
 * Streams the body as text.
 *
 * @throws {OrchestratorError} `service_unavailable` beyond `maxBytes`.
 */
export async function* textOf(response: Response, maxBytes: number): AsyncGenerator<string, void> {
  if (response.body === null) return;
  const decoder = new TextDecoder();
  let bytes = 0;
  for await (const part of response.body) {
    bytes += part.byteLength;
    if (bytes > maxBytes) throw modelFailed(`answered with more than ${maxBytes} bytes`);
    yield decoder.decode(part, { stream: true });
  }
}

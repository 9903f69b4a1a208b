import { type JsonObject, OrchestratorError } from '@agent-orchestrator/core';

/** Where an OpenAI-compatible server is: OpenAI, Ollama, vLLM, llama.cpp, LM Studio, … */
export interface ModelEndpoint {
  /** Up to and without `/v1`, e.g. `http://localhost:11434`. A URL that ends in `/v1` is understood too. */
  readonly url: string;
  /** Sent as `Authorization: Bearer`. */
  readonly key?: string;
  readonly model: string;
  /** The whole request, in milliseconds. Default 60,000. */
  readonly timeoutMs?: number;
}

/**
 * Posts to `/v1/{path}` of the server, without following redirects.
 *
 * @throws {OrchestratorError} `service_unavailable`; retryable unless the server says that the request itself is wrong.
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
  const retryable = response.status >= 500 || [408, 425, 429].includes(response.status);
  throw modelFailed(`answered with status ${response.status}`, undefined, retryable);
}

export function modelFailed(what: string, cause?: unknown, retryable = true): OrchestratorError {
  return new OrchestratorError('service_unavailable', `the language model ${what}`, { retryable, cause });
}

/**
 * Runs a request to a model within its time limit. What it throws is an OrchestratorError, or the reason of `signal`.
 */
export async function withinModelLimits<T>(
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
 * The body as it comes, as text.
 *
 * @throws {OrchestratorError} `service_unavailable` past `maxBytes`.
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

import { type JsonObject, OrchestratorError } from '@agent-orchestrator/core';

/** An OpenAI-compatible server: OpenAI, Ollama, vLLM, llama.cpp, LM Studio, … */
export interface ModelEndpoint {
  /** Base URL, such as `http://localhost:11434`, with or without `/v1` at its end. */
  readonly url: string;
  /** Sent as `Authorization: Bearer`. */
  readonly key?: string;
  readonly model: string;
  /** Time limit of a request, ms. Default 60,000. */
  readonly timeoutMs?: number;
}

/**
 * Posts to `/v1/{path}` of the server, without following redirects.
 *
 * @throws {OrchestratorError} `service_unavailable`; retryable unless the server rejects the request itself.
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
 * Runs a request to a model within its time limit. Throws an OrchestratorError, or the reason of `signal`.
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

import { setTimeout as pause } from 'node:timers/promises';
import { type Issue, type JsonArgument, type JsonValue, OrchestratorError } from '@agent-orchestrator/core';
import { isErrorCode, readRetryAfter } from '@agent-orchestrator/core/protocol';
import { JsonRefusedError, parseJson } from '@agent-orchestrator/core/protocol';
import { z } from 'zod';
import { type StreamedEvent, streamedEvents } from './event-stream.js';

export interface RequestOptions {
  readonly body?: JsonArgument;
  readonly query?: Readonly<Record<string, string | number | undefined>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

const healthSchema = z.object({
  ready: z.boolean(),
  checks: z.record(z.string(), z.object({ ok: z.boolean(), detail: z.string() })),
});
export type Health = z.output<typeof healthSchema>;

/** Limit of one request, ms. */
const TIMEOUT_MS = 60_000;
/** Limit of the waits of one request for a rate limit, ms. */
const MAX_LIMITED_MS = 30_000;
const MIN_WAIT_MS = 100;
/** Silence of a stream after which the connection counts as lost, ms: four heartbeats. */
const SILENCE_MS = 60_000;
const NO_ORCHESTRATOR = 'does not answer like an orchestrator';
/** Hint for a missing or invalid API key. */
export const API_KEY_HINT = 'set ORCHESTRATOR_API_KEY to one of its API keys';

/** Client of the HTTP API with a credential. Errors are `OrchestratorError`s with the server's code. */
export class ApiClient {
  constructor(
    readonly url: string,
    private readonly token: string | undefined,
    /** What to do about a missing or invalid credential. */
    private readonly hint: string = API_KEY_HINT,
  ) {}

  get<T>(path: string, options: RequestOptions = {}): Promise<T> {
    return this.#request<T>('GET', path, options);
  }

  post<T>(path: string, body: JsonArgument, options: RequestOptions = {}): Promise<T> {
    return this.#request<T>('POST', path, { ...options, body });
  }

  patch<T>(path: string, body: JsonArgument): Promise<T> {
    return this.#request<T>('PATCH', path, { body });
  }

  delete<T>(path: string): Promise<T> {
    return this.#request<T>('DELETE', path, {});
  }

  /**
   * Events of a stream until `signal` fires.
   *
   * @throws {OrchestratorError} `not_running` when the connection ends or is silent, or the code of its error event.
   */
  async *stream(path: string, signal: AbortSignal): AsyncGenerator<StreamedEvent> {
    const silence = new AbortController();
    const timer = setTimeout(() => silence.abort(), SILENCE_MS);
    try {
      const response = await fetch(routeUrl(this.url, path), {
        headers: { accept: 'text/event-stream', ...this.#authorization() },
        signal: AbortSignal.any([signal, silence.signal]),
      });
      if (!response.ok || !response.body)
        throw toError(response.status, toBody(await response.text(), this.url), {
          url: this.url,
          hint: this.hint,
        });
      for await (const event of streamedEvents(response.body, () => timer.refresh())) {
        if (event.event === 'error')
          throw toError(response.status, event.data as JsonValue, { url: this.url, hint: this.hint });
        yield event;
      }
      if (!signal.aborted) throw new OrchestratorError('not_running', `${this.url} has ended the stream`);
    } catch (error) {
      if (signal.aborted) return;
      throw error instanceof OrchestratorError ? error : unreachable(this.url, error);
    } finally {
      clearTimeout(timer);
    }
  }

  #authorization(): Record<string, string> {
    return this.token === undefined ? {} : { authorization: `Bearer ${this.token}` };
  }

  /** Whether the orchestrator is ready, with its checks. */
  async health(): Promise<Health> {
    const { response, text } = await this.#send('GET', '/health/ready', {});
    const body = toBody(text, this.url);
    const health = healthSchema.safeParse(body);
    if (health.success) return health.data;
    throw toError(response.status, body, { url: this.url, hint: this.hint });
  }

  /** Waits out a rate limit, as `Retry-After` says: nothing of a refused request was carried out. */
  async #request<T>(method: string, path: string, options: RequestOptions): Promise<T> {
    const until = performance.now() + MAX_LIMITED_MS;
    for (;;) {
      const { response, text } = await this.#send(method, path, options);
      const body = toBody(text, this.url);
      if (response.ok) return body as T;
      const error = toError(response.status, body, { url: this.url, hint: this.hint });
      const waitMs = readRetryAfter(response.headers.get('retry-after'));
      if (error.code !== 'rate_limited' || waitMs === undefined) throw error;
      if (performance.now() + waitMs > until) throw error;
      await pause(Math.max(MIN_WAIT_MS, waitMs), undefined, options.signal && { signal: options.signal });
    }
  }

  async #send(
    method: string,
    path: string,
    options: RequestOptions,
  ): Promise<{ readonly response: Response; readonly text: string }> {
    const url = routeUrl(this.url, path);
    for (const [name, value] of Object.entries(options.query ?? {})) {
      if (value !== undefined) url.searchParams.set(name, String(value));
    }
    const limit = AbortSignal.timeout(TIMEOUT_MS);
    try {
      const response = await fetch(url, {
        method,
        headers: {
          accept: 'application/json',
          ...(options.body !== undefined && { 'content-type': 'application/json' }),
          ...this.#authorization(),
          ...options.headers,
        },
        ...(options.body !== undefined && { body: JSON.stringify(options.body) }),
        signal: options.signal ? AbortSignal.any([options.signal, limit]) : limit,
      });
      return { response, text: await response.text() };
    } catch (error) {
      if (options.signal?.aborted) throw error;
      throw this.#unreachable(error, limit);
    }
  }

  #unreachable(error: unknown, limit: AbortSignal): unknown {
    if (limit.aborted)
      return new OrchestratorError('timeout', `${this.url} has not answered within ${TIMEOUT_MS} ms`);
    return unreachable(this.url, error);
  }
}

/** URL of a route below the base URL, which may have a path. */
export function routeUrl(base: string, path: string): URL {
  return new URL(path.slice(1), base.endsWith('/') ? base : `${base}/`);
}

/** Error of a refused or broken connection. */
export function unreachable(url: string, cause: unknown): OrchestratorError {
  const inner = (cause as { cause?: { code?: unknown } }).cause?.code ?? (cause as { code?: unknown }).code;
  const why = typeof inner === 'string' ? ` (${inner})` : '';
  const message = `no orchestrator answers at ${url}${why}: is it running? Start one with "orchestrator-cli dev", or name another with --url`;
  return new OrchestratorError('not_running', message, { cause });
}

function toBody(text: string, url: string): JsonValue {
  if (text === '') return null;
  try {
    return parseJson(text);
  } catch (error) {
    if (!(error instanceof JsonRefusedError)) throw error;
    throw new OrchestratorError(
      'invalid_response',
      `${url} ${NO_ORCHESTRATOR}: expected JSON, got something else`,
    );
  }
}

function toError(
  status: number,
  body: JsonValue,
  { url, hint: whatToDo }: { readonly url: string; readonly hint: string },
): OrchestratorError {
  const problem = typeof body === 'object' && body !== null && !Array.isArray(body) ? body : {};
  const { code, detail, message: text, title, errors } = problem;
  if (!isErrorCode(code)) {
    return new OrchestratorError(
      'invalid_response',
      `${url} ${NO_ORCHESTRATOR}: it said ${status} without a code`,
    );
  }
  const message = [detail, text, title].find((said) => typeof said === 'string') ?? code;
  const hint = code === 'unauthorized' ? `: ${whatToDo}` : '';
  return new OrchestratorError(
    code,
    `${message}${hint}`,
    Array.isArray(errors) ? { issues: errors as unknown as Issue[] } : {},
  );
}

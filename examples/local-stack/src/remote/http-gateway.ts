import { randomUUID } from 'node:crypto';
import { type JsonObject, type JsonValue, OrchestratorError } from '@agent-orchestrator/core';
import { isErrorCode } from '@agent-orchestrator/core/protocol';
import { systemClock, systemRandom } from '@agent-orchestrator/core/storage';
import {
  fullJitter,
  type GatewayOutcome,
  JsonRefusedError,
  MAX_RESULT_BYTES,
  parseJson,
  readRetryAfter,
} from '@agent-orchestrator/core/protocol';
import { activeTraceparent, pause } from '@agent-orchestrator/core/server';
import type { Gateway } from '../service-definition.js';

const SENDS = 8;
const ANSWER_MS = 30_000;
const MAX_ANSWER_BYTES = MAX_RESULT_BYTES + 16 * 1024;
/** Polling interval for a missing outcome, ms. */
const LOOK_MS = 5_000;
const PASSING = new Set([408, 425, 429, 500, 502, 503, 504]);
/** Longest `Retry-After` that is waited for. */
const MAX_RETRY_AFTER_MS = 60_000;

type Asked = Parameters<Gateway['call']>[0];

interface Sent {
  readonly method?: 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

interface Answer {
  readonly status: number;
  readonly body: JsonObject;
  readonly retryAfterMs: number | undefined;
}

/** The orchestrator's gateway over HTTP, for a service in a process of its own. */
export class HttpGateway implements Gateway {
  readonly #url: string;
  readonly #token: string;
  readonly #waiting = new Map<string, () => void>();

  /** @param orchestrator its URL, and the token of this service. */
  constructor(orchestrator: { readonly url: string; readonly token: string }) {
    this.#url = orchestrator.url.replace(/\/$/, '');
    this.#token = orchestrator.token;
  }

  /** An outcome received from the hub. */
  received({ task_id }: GatewayOutcome): void {
    this.#waiting.get(task_id)?.();
  }

  /**
   * Calls a service and waits for the outcome. Resends the call with the same key while the gateway is
   * unavailable; the failure of the call itself is never sent again, for it has a `job_id` and stays the same.
   */
  async call({ signal = new AbortController().signal, ...asked }: Asked): Promise<JsonValue> {
    const { service, operation, tenant_id, input, session_id, task_id } = asked;
    const key = randomUUID();
    const path = `/internal/v1/services/${service}/${operation}`;
    const body = { input, session_id, task_id };
    const answered = await this.#send(tenant_id, path, signal, {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json', 'idempotency-key': key },
    });
    const { status, body: answer, retryAfterMs } = answered;
    if (status === 200) return answer['result'] ?? null;
    const jobId = answer['job_id'];
    if (status !== 202 || typeof jobId !== 'string') throw refusal(answer, retryAfterMs);
    return this.#outcomeOf(tenant_id, jobId, signal);
  }

  async #outcomeOf(tenantId: string, jobId: string, signal: AbortSignal): Promise<JsonValue> {
    for (;;) {
      const received = new AbortController();
      // Registered before the lookup: the job may end in between.
      this.#waiting.set(jobId, () => received.abort());
      try {
        const { status, body } = await this.#send(tenantId, `/internal/v1/jobs/${jobId}`, signal, {});
        if (status !== 200) throw refusal(body);
        if (body['status'] === 'completed') return body['result'] ?? null;
        if (body['error']) throw refusal(body['error'] as JsonObject);
        await pause(systemClock, LOOK_MS, AbortSignal.any([signal, received.signal]));
      } finally {
        this.#waiting.delete(jobId);
      }
    }
  }

  async #send(tenantId: string, path: string, signal: AbortSignal, init: Sent): Promise<Answer> {
    let last: OrchestratorError | undefined;
    for (let sent = 1; sent <= SENDS; sent += 1) {
      signal.throwIfAborted();
      try {
        const answer = await this.#sendOnce(tenantId, path, signal, init);
        if (!PASSING.has(answer.status) || 'job_id' in answer.body) return answer;
        last = refusal(answer.body, answer.retryAfterMs);
      } catch (error) {
        if (error instanceof OrchestratorError) throw error;
        last = new OrchestratorError('service_unavailable', 'the orchestrator cannot be reached');
      }
      const requested = last.retryAfterMs ?? 0;
      if (requested > MAX_RETRY_AFTER_MS) break;
      await pause(systemClock, Math.max(requested, fullJitter(systemRandom, sent, 200, 5_000)), signal);
    }
    signal.throwIfAborted();
    throw last;
  }

  async #sendOnce(tenantId: string, path: string, signal: AbortSignal, init: Sent): Promise<Answer> {
    const response = await fetch(`${this.#url}${path}`, {
      ...init,
      headers: {
        ...init.headers,
        ...traceHeaders(),
        authorization: `Bearer ${this.#token}`,
        'x-tenant-id': tenantId,
      },
      redirect: 'error',
      signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]),
    });
    const text = await textOf(response);
    try {
      const body = text === '' ? {} : parseJson(text);
      const retryAfterMs = readRetryAfter(response.headers.get('retry-after'));
      return { status: response.status, body: isObject(body) ? body : {}, retryAfterMs };
    } catch (error) {
      if (!(error instanceof JsonRefusedError)) throw error;
      throw new OrchestratorError('invalid_response', `the orchestrator's answer: ${error.reason}`);
    }
  }
}

function traceHeaders(): { readonly traceparent?: string } {
  const traceparent = activeTraceparent();
  return traceparent === undefined ? {} : { traceparent };
}

/** Response text within the limit: a result of 1 MiB and its envelope. */
async function textOf(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > MAX_ANSWER_BYTES) {
      throw new OrchestratorError('result_too_large', `expected at most ${MAX_RESULT_BYTES} bytes, got more`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function isObject(value: JsonValue): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** An error of a task or a problem body, as an OrchestratorError. */
function refusal(problem: JsonObject, retryAfterMs?: number): OrchestratorError {
  const { code, retryable, message, detail, title } = problem;
  const text = [message, detail, title].find((candidate) => typeof candidate === 'string');
  return new OrchestratorError(
    isErrorCode(code) ? code : 'service_error',
    typeof text === 'string' ? text : 'no reason given',
    {
      ...(typeof retryable === 'boolean' && { retryable }),
      ...(retryAfterMs !== undefined && { retryAfterMs }),
    },
  );
}

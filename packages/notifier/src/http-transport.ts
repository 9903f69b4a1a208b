import {
  type Ack,
  ackSchema,
  type Clock,
  type JsonValue,
  type LinkState,
  type NotifierTransport,
  OrchestratorError,
  type OutgoingNotification,
  parseJson,
  readRetryAfter,
  systemClock,
  type TransportOwner,
  validate,
} from '@agent-orchestrator/core/notifier';
import { z } from 'zod';
import { type HubAddressOptions, readHub, timeMs } from './transport-options.js';

/** Options of `HttpTransport`. */
export interface HttpTransportOptions extends HubAddressOptions {
  /** Time limit of an ack, ms. Default: 30,000; the hub itself may wait for 10 s. */
  readonly ackMs?: number | undefined;
  /** Retry delay after a refused token: half of this to all of it, ms. Default: 60,000. */
  readonly refusedRetryMs?: number | undefined;
}

const optionsSchema = z.object({
  ackMs: timeMs.default(30_000),
  refusedRetryMs: timeMs.default(60_000),
});

interface HubAnswer {
  readonly status: number;
  readonly retryAfterMs: number | undefined;
  readonly body: JsonValue | undefined;
}

/** Maximum of response bytes read. */
const MAX_ANSWER_BYTES = 64 * 1024;
/** Statuses that are never retried. */
const NEVER_TAKEN = new Map([
  [400, 'invalid_message'],
  [413, 'payload_too_large'],
  [422, 'invalid_message'],
] as const);
const REFUSALS = new Map([
  [401, 'unauthorized'],
  [403, 'forbidden'],
] as const);

/**
 * Sends each notification in a request of its own to `/internal/v1/notifications`, for services that cannot
 * keep a socket. Receives neither cancels nor gateway outcomes. Without a link it counts as connected until a
 * request fails, and again as soon as one succeeds.
 */
export class HttpTransport implements NotifierTransport {
  readonly inOrder = false;
  readonly #settings: z.output<typeof optionsSchema>;
  readonly #hub: { readonly url: string; readonly token: string };
  readonly #clock: Clock;
  readonly #inFlight = new Set<AbortController>();
  #owner: TransportOwner | undefined;
  #state: LinkState['state'] | undefined;
  #closed = false;

  /** @throws {OrchestratorError} `invalid_request` for an invalid or missing option. */
  constructor(options: HttpTransportOptions = {}) {
    this.#settings = validate(optionsSchema, options, 'the options of HttpTransport');
    this.#clock = options.clock ?? systemClock;
    this.#hub = readHub(options, { scheme: 'http', path: '/internal/v1/notifications' });
  }

  open(owner: TransportOwner): void {
    if (this.#owner) {
      throw new OrchestratorError('invalid_request', 'transport: expected one of its own, got one in use');
    }
    this.#owner = owner;
    this.#linked({ state: 'connected' });
  }

  async send({ message_id, text }: OutgoingNotification): Promise<Ack> {
    if (this.#closed) throw new OrchestratorError('not_running', 'the transport is closed');
    const answer = await this.#post(text);
    const ack = ackOf(answer, message_id);
    if (ack) {
      this.#linked({ state: 'connected' });
      return ack;
    }
    throw this.#failure(answer);
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const request of this.#inFlight) request.abort();
  }

  async #post(text: string): Promise<HubAnswer> {
    const { url, token } = this.#hub;
    const { ackMs } = this.#settings;
    const request = new AbortController();
    this.#inFlight.add(request);
    const stopDeadline = this.#clock.after(ackMs, () => request.abort());
    try {
      const response = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
        body: text,
        redirect: 'manual',
        signal: request.signal,
      });
      const retryAfterMs = readRetryAfter(response.headers.get('retry-after'));
      return { status: response.status, retryAfterMs, body: await readJson(response) };
    } catch (error) {
      const reason = request.signal.aborted ? `no ack in ${ackMs} ms` : causeOf(error);
      this.#linked({ state: 'disconnected', reason });
      throw new OrchestratorError('service_unavailable', reason, { cause: error });
    } finally {
      stopDeadline();
      this.#inFlight.delete(request);
    }
  }

  #failure({ status, retryAfterMs }: HubAnswer): OrchestratorError {
    const reason = `expected an ack, got HTTP ${status}`;
    const never = NEVER_TAKEN.get(status as 400);
    if (never) {
      this.#linked({ state: 'connected' });
      return new OrchestratorError(never, reason);
    }
    const refused = REFUSALS.get(status as 401);
    if (refused) {
      const retryInMs = this.#settings.refusedRetryMs * (0.5 + Math.random() / 2);
      const error = new OrchestratorError(refused, reason, { retryable: true, retryAfterMs: retryInMs });
      this.#linked({ state: 'refused', error, retryInMs });
      return error;
    }
    this.#linked({ state: 'disconnected', reason });
    const when = retryAfterMs === undefined ? {} : { retryAfterMs };
    return new OrchestratorError('service_unavailable', reason, when);
  }

  /** Emits changes only. */
  #linked(link: LinkState): void {
    if (this.#closed || link.state === this.#state) return;
    this.#state = link.state;
    this.#owner?.onLink(link);
  }
}

/** The hub answers 200, or 503 with the ack `retry_later`. */
function ackOf({ status, retryAfterMs, body }: HubAnswer, messageId: string): Ack | undefined {
  if (status !== 200 && status !== 503) return undefined;
  const ack = ackSchema.safeParse(body);
  if (!ack.success || ack.data.message_id !== messageId) return undefined;
  return { ...ack.data, retry_after_ms: ack.data.retry_after_ms ?? retryAfterMs };
}

/** The body, if it is JSON and within the limit. */
async function readJson(response: Response): Promise<JsonValue | undefined> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > MAX_ANSWER_BYTES) return undefined;
    chunks.push(chunk);
  }
  try {
    return parseJson(Buffer.concat(chunks).toString());
  } catch {
    return undefined;
  }
}

/** `fetch` rejects with "fetch failed", and the reason in the cause. */
function causeOf(error: unknown): string {
  const { message, cause } = error as { message?: string; cause?: { message?: string; code?: string } };
  return cause?.message || cause?.code || message || 'the request failed';
}

import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type ErrorCode, OrchestratorError, type ServiceCall } from '@agent-orchestrator/core';
import { ERROR_CODES, ServiceReply } from '@agent-orchestrator/core/protocol';
import { inSpan, type InProcessService } from '@agent-orchestrator/core/server';
import {
  JsonRefusedError,
  MAX_RESULT_BYTES,
  parseJson,
  serviceCallSchema,
  validate,
} from '@agent-orchestrator/core/protocol';

/** Codes after which the orchestrator resends a call. Any other failure is final, and so a 4xx. */
const PASSING: ReadonlySet<ErrorCode> = new Set([
  'service_unavailable',
  'rate_limited',
  'timeout',
  'not_running',
]);
const LAST_WORD = 422;
/** Size of a call without its input, bytes. */
const ENVELOPE_BYTES = 16 * 1024;

/** Options of `ServiceListener`. */
export interface ServiceListenerOptions {
  readonly name: string;
  readonly service: Pick<InProcessService, 'run'>;
  /** Token that the orchestrator presents. */
  readonly token: string;
  /** Called with errors that callers only see as `internal_error`. */
  readonly report: (error: unknown, where: string) => void;
}

/** A service behind HTTP: `POST /{operation}` with a call as its body. `GET /health` answers without a token. */
export class ServiceListener {
  readonly #options: ServiceListenerOptions;
  readonly #token: Buffer;
  readonly #server: Server;

  constructor(options: ServiceListenerOptions) {
    this.#options = options;
    this.#token = digest(options.token);
    this.#server = createServer((request, response) => void this.#serve(request, response));
    this.#server.requestTimeout = 30_000;
  }

  /** Resolves with the URL. */
  async listen(port: number, host: string): Promise<string> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, host, resolve);
    });
    const { port: chosen, family, address } = this.#server.address() as AddressInfo;
    return `http://${family === 'IPv6' ? `[${address}]` : address}:${chosen}`;
  }

  /** Accepts no more calls; running ones are disconnected after `graceMs`. */
  async close({ graceMs = 2_000 }: { readonly graceMs?: number } = {}): Promise<void> {
    if (!this.#server.listening) return;
    const closed = new Promise((resolve) => this.#server.close(resolve));
    const cut = setTimeout(() => this.#server.closeAllConnections(), graceMs);
    this.#server.closeIdleConnections();
    await closed;
    clearTimeout(cut);
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const gone = new AbortController();
    response.once('close', () =>
      gone.abort(new OrchestratorError('cancelled', 'the caller has disconnected')),
    );
    try {
      if (request.method === 'GET' && request.url === '/health') {
        send(response, 200, { service: this.#options.name, status: 'ok' });
        return;
      }
      const call = await this.#read(request);
      const parent = request.headers['traceparent'];
      const spec = {
        name: `POST /${call.operation}`,
        kind: 'server',
        ...(typeof parent === 'string' && { parent }),
        attributes: () => ({
          'http.request.method': 'POST',
          'agent_orchestrator.service.name': this.#options.name,
        }),
      } as const;
      const { status, body } = answerOf(
        await inSpan(spec, async () => this.#options.service.run(call, gone)),
      );
      send(response, status, body);
    } catch (error) {
      if (!(error instanceof OrchestratorError)) this.#options.report(error, this.#options.name);
      if (!response.destroyed) refuse(response, error);
    }
  }

  async #read(request: IncomingMessage): Promise<ServiceCall> {
    const [, given = ''] = /^Bearer (\S+)$/.exec(request.headers.authorization ?? '') ?? [];
    if (!timingSafeEqual(digest(given), this.#token)) {
      throw new OrchestratorError('unauthorized', "expected the service's token");
    }
    if (request.method !== 'POST') {
      throw new OrchestratorError('not_found', `expected POST, got ${request.method}`);
    }
    const call = validate(serviceCallSchema, parsed(await textOf(request)), 'the call');
    const operation = new URL(request.url ?? '/', 'http://service').pathname.slice(1);
    if (operation !== call.operation) {
      const message = `operation: expected "${call.operation}" as in the body, got "${operation}"`;
      throw new OrchestratorError('invalid_request', message);
    }
    return call;
  }
}

function digest(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_RESULT_BYTES + ENVELOPE_BYTES) {
      throw new OrchestratorError(
        'payload_too_large',
        `the body: expected at most ${MAX_RESULT_BYTES} bytes`,
      );
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parsed(text: string): unknown {
  try {
    return parseJson(text);
  } catch (error) {
    if (error instanceof JsonRefusedError) {
      throw new OrchestratorError('invalid_request', `the body: ${error.reason}`);
    }
    throw error;
  }
}

function answerOf(returned: unknown): { readonly status: number; readonly body: object } {
  if (!(returned instanceof ServiceReply)) return { status: 200, body: { result: returned ?? null } };
  if (returned.kind === 'accepted') return { status: 202, body: { job_id: returned.jobId } };
  const { result, usage } = returned;
  return { status: 200, body: { result, ...(usage && { usage }) } };
}

function refuse(response: ServerResponse, error: unknown): void {
  const known = error instanceof OrchestratorError ? error : undefined;
  const code = known?.code ?? 'internal_error';
  const meaning = ERROR_CODES[code];
  const isLast = meaning.status >= 500 && !PASSING.has(code);
  const status = isLast ? LAST_WORD : meaning.status;
  const seconds = Math.ceil((known?.retryAfterMs ?? 0) / 1_000);
  // The orchestrator shows the title: it must name the problem.
  const title = known?.message ?? meaning.title;
  const problem = { type: `urn:agent-orchestrator:error:${code}`, title, status, code };
  send(response, status, problem, {
    'content-type': 'application/problem+json',
    ...(seconds > 0 && { 'retry-after': String(seconds) }),
    ...(status === 413 && { connection: 'close' }),
  });
}

function send(response: ServerResponse, status: number, body: object, headers = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}

import {
  accepted,
  type JsonValue,
  Orchestrator,
  type OrchestratorOptions,
  type ServiceCall,
} from '@agent-orchestrator/core';
import { onTestFinished } from 'vitest';
import { createIdentities, OrchestratorServer, type OrchestratorServerOptions } from '../src/index.js';

/** Credentials of the tests. */
export const KEYS = {
  acme: 'key-of-acme',
  globex: 'key-of-globex',
  plain: 'key-of-acme-without-scopes',
} as const;
export const TOKENS = {
  query: 'token-of-query',
  embedding: 'token-of-embedding',
  acmeOnly: 'token-of-ingestion-for-acme',
  operator: 'token-of-operator',
  reader: 'token-of-operator-who-reads',
} as const;

export const IDENTITIES = {
  apiKeys: [
    { key: KEYS.acme, tenant: 'acme' },
    { key: KEYS.globex, tenant: 'globex' },
    { key: KEYS.plain, tenant: 'acme', scopes: [] },
  ],
  serviceTokens: [
    { service: 'query', token: TOKENS.query },
    { service: 'embedding', token: TOKENS.embedding },
    { service: 'ingestion', token: TOKENS.acmeOnly, tenants: ['acme'] },
  ],
  operatorToken: TOKENS.operator,
  operatorReadToken: TOKENS.reader,
};

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Record<string, JsonValue>;
}

export interface AskOptions {
  readonly token?: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A running server with an orchestrator in memory, and services in this process. */
export class RunningServer {
  readonly #calls: ServiceCall[] = [];
  #wakeup: () => void = () => undefined;
  /** Opens the gate. */
  open: () => void = () => undefined;
  /** What answers to calls with `gated` wait for. */
  readonly gate: Promise<void> = new Promise((resolve) => (this.open = resolve));

  constructor(
    readonly server: OrchestratorServer,
    readonly orchestrator: Orchestrator,
  ) {}

  get url(): string {
    return this.server.url;
  }

  called(call: ServiceCall): void {
    this.#calls.push(call);
    this.#wakeup();
  }

  /** The `index`-th call that the service `query` got; waits for it. */
  async call(index: number): Promise<ServiceCall> {
    for (;;) {
      const call = this.#calls[index];
      if (call) return call;
      await new Promise<void>((resolve) => (this.#wakeup = resolve));
    }
  }

  fetch(method: string, path: string, options: AskOptions = {}): Promise<Response> {
    const { token = KEYS.acme, body, headers = {} } = options;
    return fetch(this.url + path, {
      method,
      headers: {
        ...(token !== '' && { authorization: `Bearer ${token}` }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
  }

  async ask(method: string, path: string, options: AskOptions = {}): Promise<Answer> {
    const response = await this.fetch(method, path, options);
    const text = await response.text();
    return {
      status: response.status,
      headers: response.headers,
      body: (text === '' ? {} : JSON.parse(text)) as Record<string, JsonValue>,
    };
  }

  /** Submits a task and gives its id. */
  async submit(type: string, payload: JsonValue = {}, more: object = {}): Promise<string> {
    const { status, body } = await this.ask('POST', '/v1/tasks', { body: { type, payload, ...more } });
    if (status !== 202) throw new Error(`expected 202, got ${status}: ${JSON.stringify(body)}`);
    return text(body['task_id']);
  }

  /** The task once it has ended. */
  ended(taskId: string, tenant = 'acme') {
    return this.orchestrator.tenant(tenant).tasks.wait(taskId, { timeoutMs: 20_000 });
  }
}

/**
 * Starts one, which stops with the test. The service `query` answers at once, unless the input has `later`: then with a
 * 202 that names this job; `embedding` answers at once.
 */
export async function startServer(
  options: Partial<OrchestratorServerOptions> = {},
  inside: OrchestratorOptions = {},
): Promise<RunningServer> {
  const orchestrator = new Orchestrator({
    ...inside,
    services: {
      query: {
        run: (call: ServiceCall) => {
          running.called(call);
          const input = call.input as { later?: string; gated?: boolean };
          const reply = input.later === undefined ? { answer: 'at once' } : accepted(input.later);
          return input.gated ? running.gate.then(() => reply) : reply;
        },
      },
      embedding: { run: () => ({ vectors: [[1, 0]], model: 'tiny', dimensions: 2 }) },
      agent_execution: {
        run: (call: ServiceCall) => ({
          content: `You said ${(call.input as { message: string }).message}`,
        }),
      },
    },
  });
  orchestrator.workflow('echo', (_ctx, input) => Promise.resolve(input));
  orchestrator.workflow('broken', () => Promise.reject(new Error('the secret inside')));
  orchestrator.workflow('approval', async (ctx) => ctx.waitForSignal('approve'));
  orchestrator.workflow('steps', async (ctx, input) => {
    const steps = (input as { steps: number }).steps;
    for (let step = 1; step <= steps; step += 1)
      await ctx.progress({ percent: step, message: `step ${step}` });
    return { steps };
  });
  const identities = createIdentities(IDENTITIES);
  const server = new OrchestratorServer(orchestrator, { identities, ...options });
  const running = new RunningServer(server, orchestrator);
  onTestFinished(() => server.stop({ graceMs: 2_000 }));
  await server.listen(0);
  return running;
}

/** A field that must be a text. */
export function text(value: unknown): string {
  if (typeof value !== 'string') throw new Error(`expected a text, got ${typeof value}`);
  return value;
}

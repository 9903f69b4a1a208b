import {
  type JsonValue,
  MemoryStorage,
  Orchestrator,
  type OrchestratorOptions,
  type Task,
} from '@agent-orchestrator/core';
import { type MemoryStorageOptions } from '@agent-orchestrator/core';
import { TaskNotifier, type TaskNotifierOptions, WebSocketTransport } from '@agent-orchestrator/notifier';
import type { WebSocketTransportOptions } from '@agent-orchestrator/notifier';
import {
  createIdentities,
  OrchestratorServer,
  type OrchestratorServerOptions,
} from '@agent-orchestrator/ws-server';
import { onTestFinished } from 'vitest';
import { KillableListener } from '../../packages/notifier/test/killable-listener.js';

export const KEYS = { acme: 'key-of-acme', globex: 'key-of-globex' } as const;
export const TOKENS = { query: 'token-of-query', embedding: 'token-of-embedding' } as const;
export type ServiceName = keyof typeof TOKENS;

export interface HubOptions {
  readonly server?: Partial<OrchestratorServerOptions>;
  readonly orchestrator?: OrchestratorOptions;
  readonly limits?: NonNullable<MemoryStorageOptions['limits']>;
}

/**
 * The real server on a port of its own. It can be killed, and take its port again: the server's memory is
 * lost, the orchestrator and its storage stay. It ends with the test.
 */
export class KillableHub {
  readonly storage: MemoryStorage;
  readonly orchestrator: Orchestrator;
  readonly #options: Partial<OrchestratorServerOptions>;
  readonly #servers: OrchestratorServer[] = [];
  #now: KillableListener | undefined;
  #port = 0;

  private constructor(options: HubOptions) {
    this.storage = new MemoryStorage(options.limits && { limits: options.limits });
    this.orchestrator = new Orchestrator({ storage: this.storage, ...options.orchestrator });
    this.#options = options.server ?? {};
  }

  static async start(options: HubOptions = {}): Promise<KillableHub> {
    const hub = new KillableHub(options);
    onTestFinished(() => hub.end());
    await hub.revive();
    return hub;
  }

  get port(): number {
    return this.#port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Number of open connections. */
  get connections(): number {
    return this.#now?.connections ?? 0;
  }

  get acme() {
    return this.orchestrator.tenant('acme');
  }

  /** Starts a new server on the port. */
  async revive(): Promise<void> {
    const identities = createIdentities({
      apiKeys: Object.entries(KEYS).map(([tenant, key]) => ({ tenant, key })),
      serviceTokens: Object.entries(TOKENS).map(([service, token]) => ({ service, token })),
    });
    const server = new OrchestratorServer(this.orchestrator, { identities, ...this.#options });
    this.#servers.push(server);
    const listener = await KillableListener.open(server, this.#port);
    this.#port = listener.port;
    this.#now = listener;
  }

  /** Like a killed process: connections are reset without a close frame. */
  async kill(): Promise<void> {
    const now = this.#now;
    if (!now) return;
    this.#now = undefined;
    await now.kill();
  }

  async end(): Promise<void> {
    await this.kill();
    for (const server of this.#servers) await server.stop({ graceMs: 0 });
  }

  /** A client's request, over the network. */
  async ask(method: string, path: string, body?: unknown, key: string = KEYS.acme) {
    const response = await fetch(this.url + path, {
      method,
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const answer = (await response.json()) as Record<string, JsonValue>;
    return { status: response.status, body: answer };
  }

  /** Submits a task as a client; returns its id. */
  async submit(
    type: string,
    payload: JsonValue,
    more: object = {},
    key: string = KEYS.acme,
  ): Promise<string> {
    const { status, body } = await this.ask('POST', '/v1/tasks', { type, payload, ...more }, key);
    const { task_id: id } = body;
    if (status !== 202 || typeof id !== 'string') {
      throw new Error(`expected 202, got ${status}: ${JSON.stringify(body)}`);
    }
    return id;
  }

  ended(taskId: string, tenant = 'acme'): Promise<Task> {
    return this.orchestrator.tenant(tenant).tasks.wait(taskId, { timeoutMs: 100_000 });
  }

  /** Registers a task that a service runs as `jobId`, without a workflow. */
  async track(jobId: string, service: ServiceName = 'query', tenantId = 'acme'): Promise<string> {
    const { registry } = this.orchestrator;
    const { task } = await registry.register({ tenantId, type: service, service, jobId });
    return task.task_id;
  }
}

/** Short times, for fast tests. */
const QUICK = { helloMs: 2_000, reconnectBaseMs: 5, reconnectCapMs: 50 } as const;

/** A notifier that the hub cannot tell from one in another process. It ends with the test. */
export function notifierOf(
  service: ServiceName,
  url: string,
  options: WebSocketTransportOptions = {},
  more: Partial<TaskNotifierOptions> = {},
): TaskNotifier {
  const transport = new WebSocketTransport({ url, token: TOKENS[service], ...QUICK, ...options });
  const notifier = new TaskNotifier({
    serviceName: service,
    transport,
    retryBaseMs: 5,
    retryCapMs: 50,
    ...more,
  });
  onTestFinished(() => notifier.close());
  return notifier;
}

/** Lets one turn of the event loop run. */
export const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Resolves when `fact` is true; otherwise the test's time limit ends the wait. */
export async function until(fact: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await fact())) await new Promise<void>((resolve) => setTimeout(resolve, 2));
}

/** The value, which has to exist. */
export function given<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('expected a value, got undefined');
  return value;
}

/** No jitter: repeats and retries follow at once. */
export const NO_JITTER = { uuid: () => crypto.randomUUID(), fraction: () => 0 };

import { MemoryStorage, Orchestrator } from '@agent-orchestrator/core';
import {
  createIdentities,
  OrchestratorServer,
  type OrchestratorServerOptions,
} from '@agent-orchestrator/ws-server';
import { onTestFinished } from 'vitest';
import { KillableListener } from './killable-listener.js';

export const TOKEN = 'token-of-query';

interface Incarnation {
  readonly orchestrator: Orchestrator;
  readonly server: OrchestratorServer;
  readonly listener: KillableListener;
}

/** The real hub on a port of its own, which can be killed and started again; what it has stored outlasts that. */
export class RealHub {
  readonly identities = createIdentities({ serviceTokens: [{ service: 'query', token: TOKEN }] });
  readonly #storage = new MemoryStorage();
  #now: Incarnation | undefined;
  #port = 0;

  private constructor(private readonly options: Partial<OrchestratorServerOptions>) {}

  static async start(options: Partial<OrchestratorServerOptions> = {}): Promise<RealHub> {
    const hub = new RealHub(options);
    onTestFinished(() => hub.kill());
    await hub.start();
    return hub;
  }

  get port(): number {
    return this.#port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get orchestrator(): Orchestrator {
    if (!this.#now) throw new Error('the hub does not run');
    return this.#now.orchestrator;
  }

  get acme() {
    return this.orchestrator.tenant('acme');
  }

  async start(): Promise<void> {
    const orchestrator = new Orchestrator({ storage: this.#storage });
    const server = new OrchestratorServer(orchestrator, { identities: this.identities, ...this.options });
    const listener = await KillableListener.open(server, this.#port);
    this.#port = listener.port;
    this.#now = { orchestrator, server, listener };
  }

  /** As if its process had been killed: connections are reset without a close frame. */
  async kill(): Promise<void> {
    const now = this.#now;
    if (!now) return;
    this.#now = undefined;
    await now.listener.kill();
    await now.server.stop({ graceMs: 0 });
  }

  /** Graceful shutdown: peers get the reconnect delay. */
  async stop(): Promise<void> {
    const now = this.#now;
    if (!now) return;
    this.#now = undefined;
    now.listener.close();
    await now.server.stop({ graceMs: 1_000 });
    now.listener.closeAllConnections();
  }

  /** A task that the service `query` works on as `jobId`. */
  async track(jobId: string): Promise<string> {
    const { registry } = this.orchestrator;
    const tracked = { tenantId: 'acme', type: 'query', service: 'query', jobId };
    const { task } = await registry.register(tracked);
    return task.task_id;
  }

  /** The names and data of everything that happened to a task. */
  async events(taskId: string) {
    const { startCursor } = await this.orchestrator.registry.locate({ tenantId: 'acme', taskId });
    const { events, gap } = await this.#storage.events.read({
      tenantId: 'acme',
      after: startCursor,
      limit: 100_000,
    });
    if (gap) throw new Error('the log has lost events');
    return events.filter((event) => event.task_id === taskId);
  }
}

import { randomUUID } from 'node:crypto';
import {
  type JsonValue,
  Orchestrator,
  OrchestratorError,
  type ServiceCall,
  type Task,
  type TenantHandle,
} from '@agent-orchestrator/core';
import { type ServiceReply } from '@agent-orchestrator/core/protocol';
import { createIdentities, OrchestratorServer } from '@agent-orchestrator/ws-server';
import { HubFront } from './hub-front.js';

export interface CheckHubOptions {
  readonly port: number;
  readonly host: string;
  /** Token of the service. */
  readonly token: string;
  /** Name of the service. Default: any. */
  readonly name?: string | undefined;
  readonly operation: string;
  readonly input: JsonValue;
}

const WORKFLOW = 'service_check';
/** Name used for a service with any name. */
const NAMELESS = 'service';
/** No limit by the orchestrator: the checks have limits of their own. */
const NO_LIMIT_MS = 60 * 60_000;

/**
 * A real orchestrator with its server behind a recording proxy. Each call of a check belongs to a task, so it
 * is stored, parked, reported on and cancelled as in production; only the request is sent by the check
 * itself.
 */
export class CheckHub {
  readonly front: HubFront;
  readonly startedAt = performance.now();
  readonly #options: CheckHubOptions;
  readonly #orchestrator: Orchestrator;
  readonly #server: OrchestratorServer;
  readonly #name: string;
  /** Sender of a task's call, by task id. */
  readonly #asks = new Map<string, (call: ServiceCall) => Promise<ServiceReply>>();

  private constructor(
    options: CheckHubOptions,
    parts: { orchestrator: Orchestrator; server: OrchestratorServer; front: HubFront },
  ) {
    this.#options = options;
    this.#orchestrator = parts.orchestrator;
    this.#server = parts.server;
    this.front = parts.front;
    this.#name = options.name ?? NAMELESS;
    this.#sendByAsks();
    this.#orchestrator.workflow(WORKFLOW, (ctx) =>
      ctx.call(this.#name, options.operation, options.input, {
        timeoutMs: NO_LIMIT_MS,
        retry: { maxAttempts: 1 },
      }),
    );
  }

  /** @throws {ConfigurationError} when the port is not available. */
  static async start(options: CheckHubOptions): Promise<CheckHub> {
    const { token, name: hubName = NAMELESS, port, host } = options;
    const orchestrator = new Orchestrator();
    const server = new OrchestratorServer(orchestrator, {
      identities: createIdentities({ serviceTokens: [{ service: hubName, token }] }),
    });
    await server.listen(0);
    try {
      const anyName = options.name === undefined;
      const front = await HubFront.listen({ port, host, hubUrl: server.url, hubName, anyName });
      return new CheckHub(options, { orchestrator, server, front });
    } catch (error) {
      await server.stop({ graceMs: 0 });
      throw error;
    }
  }

  /** Submits a task whose call is sent by `ask`; resolves with the task id once `ask` has settled. */
  async delegate(
    scope: { readonly tenant: string; readonly session?: string | undefined },
    ask: (call: ServiceCall) => Promise<ServiceReply>,
  ): Promise<string> {
    const taskId = randomUUID();
    await new Promise<void>((resolve, reject) => {
      this.#asks.set(taskId, async (call) => {
        const replied = ask(call);
        replied.then(
          () => resolve(),
          () => resolve(),
        );
        return replied;
      });
      this.#tenant(scope.tenant)
        .tasks.submit({
          type: WORKFLOW,
          task_id: taskId,
          max_attempts: 1,
          ...(scope.session !== undefined && { session_id: scope.session, on_busy: 'parallel' }),
          metadata: { user_id: 'user-1' },
        })
        .catch(reject);
    });
    return taskId;
  }

  /** Whether the task was cancelled; false for an ended one. */
  async cancel(tenant: string, taskId: string): Promise<boolean> {
    try {
      await this.#tenant(tenant).tasks.cancel(taskId, { reason: 'the result is no longer wanted' });
      return true;
    } catch (error) {
      if (error instanceof OrchestratorError && error.code === 'conflict') return false;
      throw error;
    }
  }

  /**
   * Runs a task as in production: the orchestrator sends the call. Resolves at its end, or after `timeoutMs`.
   */
  async runTask(
    service: { readonly url: string; readonly timeoutMs: number; readonly silenceMs: number },
    limits: { readonly timeoutMs: number; readonly signal: AbortSignal },
  ): Promise<Task> {
    const { token } = this.#options;
    const type = 'service_check_whole';
    this.#orchestrator.service(this.#name, { ...service, token });
    this.#orchestrator.workflow(type, (ctx) =>
      ctx.call(this.#name, this.#options.operation, this.#options.input),
    );
    try {
      const { tasks } = this.#tenant('check-a');
      const task = await tasks.submit({ type });
      return await tasks.wait(task.task_id, limits);
    } finally {
      this.#sendByAsks();
    }
  }

  async stop(): Promise<void> {
    await this.front.close();
    await this.#server.stop({ graceMs: 0 });
  }

  #sendByAsks(): void {
    this.#orchestrator.service(this.#name, {
      run: (call) => this.#asks.get(call.task_id)?.(call),
      timeoutMs: NO_LIMIT_MS,
    });
  }

  #tenant(tenant: string): TenantHandle {
    return this.#orchestrator.tenant(tenant);
  }
}

import { setTimeout as delay } from 'node:timers/promises';
import {
  accepted,
  type Clock,
  InProcessTransport,
  Orchestrator,
  OrchestratorError,
  type OrchestratorOptions,
  type ServiceCall,
  type Storage,
  TaskNotifier,
  type TenantHandle,
} from '@agent-orchestrator/core';
import { WebSocketTransport } from '@agent-orchestrator/notifier';
import { OrchestratorServer } from '@agent-orchestrator/ws-server';

/** Time limit of operations that do not wait for simulated time, ms. */
const LIMIT_MS = 30_000;
const LOOK_MS = 2;
const REPORTED_MS = 500;
const ROUNDS_A_STREAM = 10;
const ROUNDS_A_DEPLOYMENT = 60;
const SERVICE_TOKEN = 'token-of-slow';
const DAY = { from: '2000-01-01', to: '2000-01-01' } as const;

/** A job accepted by a service, to be reported in the next round. */
interface Job {
  readonly tenantId: string;
  readonly jobId: string;
}

function busy(message: string): OrchestratorError {
  return new OrchestratorError('service_error', message, { retryable: true });
}

/** All kinds of requests, round by round, with an orchestrator, its server and real sockets. */
export class Load {
  readonly #orchestrator: Orchestrator;
  readonly #server: OrchestratorServer;
  readonly #slow: TaskNotifier;
  #jobs: Job[] = [];
  #toSignal: { readonly tenant: TenantHandle; readonly taskId: string }[] = [];
  #calls = 0;
  /** Submitted tasks, and their tenants. */
  tasks = 0;
  readonly tenants = new Set<string>();

  constructor(private readonly ports: { readonly storage: Storage; readonly clock: Clock }) {
    this.#orchestrator = this.#addWorkflows(new Orchestrator(this.#options()));
    this.#server = new OrchestratorServer(this.#orchestrator, {
      identities: {
        authenticate: (token) =>
          token === SERVICE_TOKEN
            ? { kind: 'service', service: 'slow' }
            : { kind: 'client', tenant: token, scopes: new Set() },
      },
    });
    this.#slow = new TaskNotifier({
      serviceName: 'slow',
      transport: new InProcessTransport(this.#orchestrator.hub('slow')),
    });
  }

  async start(): Promise<void> {
    await this.#server.listen(0);
  }

  async stop(): Promise<void> {
    await this.#slow.close();
    await this.#server.stop();
  }

  /** One round; resolves once everything in it that does not wait for simulated time has ended. */
  async round(n: number): Promise<void> {
    const reported = Promise.all(this.#report());
    // A report on a job that a stopped worker has not recorded is held for longer.
    await Promise.all([...this.#sendSignals(), Promise.race([reported, delay(REPORTED_MS)])]);
    for (const tenantId of ['steady-1', 'steady-2', `passing-${n}`]) {
      this.tenants.add(tenantId);
      const tenant = this.#orchestrator.tenant(tenantId);
      await Promise.all([
        this.#runTasks(tenant, n),
        this.#leaveTasks(tenant, n),
        this.#talk(tenant, n),
        this.#submitBatch(tenant, n),
      ]);
    }
    if (n % ROUNDS_A_STREAM === 0) await Promise.all([this.#follow(n), this.#connect(n)]);
    if (n % ROUNDS_A_DEPLOYMENT === 0) await this.#deploy(n);
  }

  /** Ends what the last rounds have started. */
  async finish(): Promise<void> {
    await Promise.all([...this.#report(), ...this.#sendSignals()]);
  }

  #options(): OrchestratorOptions {
    const { storage, clock } = this.ports;
    return { storage, clock, parkAfterMs: 0, sweepMs: 30_000, services: this.#services() };
  }

  #services(): NonNullable<OrchestratorOptions['services']> {
    return {
      quick: {
        run: (call: ServiceCall) => {
          this.#calls += 1;
          const usage = { tokens: 7, model: `model-${this.#calls % 5}` };
          return { answer: call.input, usage };
        },
      },
      slow: {
        run: (call: ServiceCall) => {
          this.#calls += 1;
          const jobId = `job-${this.#calls}`;
          // One in ten is never reported.
          if (this.#calls % 10 !== 0) this.#jobs.push({ tenantId: call.tenant_id, jobId });
          return accepted(jobId);
        },
      },
    };
  }

  #addWorkflows(orchestrator: Orchestrator): Orchestrator {
    return orchestrator
      .workflow('answer', async (ctx, input: { readonly n: number }) => {
        await ctx.progress({ percent: 10 });
        await ctx.run('look up', () => input.n);
        return ctx.call('quick', 'answer', { text: 'x'.repeat(2_000) });
      })
      .workflow('work', async (ctx) => {
        const found = await ctx.call('slow', 'work', {});
        if (ctx.attempt === 1) await ctx.run('save', () => Promise.reject(busy('the first time')));
        return found;
      })
      .workflow('approve', (ctx) => ctx.waitForSignal('approved', { timeoutMs: 600_000 }))
      .workflow('nap', (ctx) => ctx.sleep(120_000))
      .workflow('die', () => {
        throw new Error('it always does');
      })
      .workflow('give-up', { maxAttempts: 2 }, () => {
        throw busy('it always is');
      });
  }

  async #submit(tenant: TenantHandle, type: string, more: Record<string, unknown> = {}): Promise<string> {
    this.tasks += 1;
    const { task_id } = await tenant.tasks.submit({ type, payload: { n: this.tasks }, ...more });
    return task_id;
  }

  /**
   * Polls: an adapter with a completions channel renews its registration by the time of the machine, which
   * differs from the simulated one.
   */
  async #end(tenant: TenantHandle, taskId: string): Promise<void> {
    for (let waited = 0; waited < LIMIT_MS; waited += LOOK_MS) {
      const { status } = await tenant.tasks.get(taskId);
      if (status !== 'pending' && status !== 'processing') return;
      await delay(LOOK_MS);
    }
    throw new Error(`task ${taskId} of ${tenant.tenantId}: not ended within ${LIMIT_MS} ms`);
  }

  /** Tasks that end at once. */
  async #runTasks(tenant: TenantHandle, n: number): Promise<void> {
    const once = { idempotencyKey: `once-${n}` };
    const task = await tenant.tasks.submit({ type: 'answer', payload: { n } }, once);
    await tenant.tasks.submit({ type: 'answer', payload: { n } }, once);
    this.tasks += 1;
    const ids = [task.task_id, await this.#submit(tenant, 'answer'), await this.#submit(tenant, 'die')];
    for (const taskId of ids) await this.#end(tenant, taskId);
    await tenant.usage.sum(DAY);
    await tenant.tickets.issue({ ticketId: crypto.randomUUID(), content: 'x', maxOpen: 100, lifeMs: 60_000 });
  }

  /** Tasks that wait for time, for a service, for a signal that comes or not, or for a cancel. */
  async #leaveTasks(tenant: TenantHandle, n: number): Promise<void> {
    for (const type of ['work', 'nap', 'give-up', 'approve']) await this.#submit(tenant, type);
    await this.#submit(tenant, 'answer', {
      run_at: new Date(this.ports.clock.now() + 300_000).toISOString(),
    });
    this.#toSignal.push({ tenant, taskId: await this.#submit(tenant, 'approve') });
    await tenant.tasks.cancel(await this.#submit(tenant, 'nap'), { reason: 'enough' });
    const ask = {
      from: { service: 'asker' },
      tenant_id: tenant.tenantId,
      service: 'slow',
      operation: 'work',
    };
    const signal = AbortSignal.timeout(LIMIT_MS);
    await this.#orchestrator.gateway.request(
      { ...ask, input: { n }, idempotencyKey: `ask-${n}` },
      { signal },
    );
  }

  async #talk(tenant: TenantHandle, n: number): Promise<void> {
    const session_id = `session-${n % 50}-${Math.floor(n / 50)}`;
    await tenant.sessions.create({ session_id, context: { n } });
    const ids = [
      await this.#submit(tenant, 'answer', { session_id }),
      await this.#submit(tenant, 'answer', { session_id }),
    ];
    for (const taskId of ids) await this.#end(tenant, taskId);
    if (n % 2 === 0) await tenant.sessions.close(session_id);
  }

  async #submitBatch(tenant: TenantHandle, n: number): Promise<void> {
    const type = n % 2 === 0 ? 'answer' : 'nap';
    const requests = Array.from({ length: 5 }, () => ({ type, payload: { n } }));
    this.tasks += requests.length;
    const { batch } = await tenant.batches.submit({ requests, max_in_flight: 2 });
    if (n % 4 === 1) await tenant.batches.cancel(batch.batch_id);
  }

  /** A client that follows a tenant for a moment. */
  async #follow(n: number): Promise<void> {
    const over = new AbortController();
    const tenant = this.#orchestrator.tenant('steady-1');
    const session_id = `followed-${n}`;
    await tenant.sessions.create({ session_id });
    const headers = { authorization: 'Bearer steady-1', accept: 'text/event-stream' };
    const url = `${this.#server.url}/v1/sessions/${session_id}/events`;
    const response = await fetch(url, { headers, signal: over.signal });
    const reader = response.body?.getReader();
    const [taskId] = await Promise.all([this.#submit(tenant, 'answer'), reader?.read()]);
    await this.#end(tenant, taskId);
    over.abort();
    await reader?.cancel().catch(() => {});
    if (!response.ok) throw new Error(`round ${n}: the stream was answered ${response.status}`);
  }

  /** A service that connects for a moment. */
  async #connect(n: number): Promise<void> {
    const transport = new WebSocketTransport({ url: this.#server.url, token: SERVICE_TOKEN });
    const notifier = new TaskNotifier({ serviceName: 'slow', transport });
    const jobId = `registered-${n}`;
    const about = { tenantId: 'steady-2', type: 'foreign', service: 'slow', jobId };
    await this.#orchestrator.registry.register({ taskId: crypto.randomUUID(), ...about });
    await notifier.notifyTaskCompletion({ tenant_id: 'steady-2', task_id: jobId, result: { n } });
    await notifier.close();
  }

  /** Another version of the program, with a type of its own, runs for a moment. */
  async #deploy(n: number): Promise<void> {
    const other = this.#addWorkflows(new Orchestrator(this.#options()));
    const type = `version-${n}`;
    other.workflow(type, () => n);
    await other.start();
    const tenant = other.tenant('steady-1');
    await this.#end(tenant, await this.#submit(tenant, type));
    await other.stop();
  }

  #report(): Promise<unknown>[] {
    const jobs = this.#jobs;
    this.#jobs = [];
    return jobs.map(({ tenantId, jobId }) =>
      this.#slow.notifyTaskCompletion({ tenant_id: tenantId, task_id: jobId, result: { done: jobId } }),
    );
  }

  #sendSignals(): Promise<unknown>[] {
    const waiting = this.#toSignal;
    this.#toSignal = [];
    return waiting.map(({ tenant, taskId }) =>
      // An ended task needs no signal.
      tenant.tasks.signal(taskId, 'approved', true).catch((error: unknown) => {
        if (!(error instanceof OrchestratorError) || error.code !== 'conflict') throw error;
      }),
    );
  }
}

import { Orchestrator, type TaskSubmission } from '@agent-orchestrator/core';
import { RedisStorage } from '@agent-orchestrator/redis-adapter';
import { RedisServer } from '@agent-orchestrator/test-servers';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Child } from './child-process.js';
import { machineMs } from './fault-run.js';

/** A task of a watched tenant, from its beginning to its end by the machine's clock. */
export interface Ran {
  readonly tenant: string;
  readonly task: string;
  readonly begunAt: number;
  readonly endedAt: number;
}

const WORKERS = 2;
const SLOTS_PER_WORKER = 10;
const PREFIX = 'fairness';
const CONCURRENCY = 200;

/** Two worker processes on a Redis of their own, and a submitter in this process. */
export class FairSystem implements AsyncDisposable {
  readonly #workers: Child[] = [];

  private constructor(
    private readonly redis: RedisServer,
    private readonly dir: string,
    readonly storage: RedisStorage,
    readonly orchestrator: Orchestrator,
  ) {}

  static async start(watched: readonly string[]): Promise<FairSystem> {
    const redis = await RedisServer.start();
    const dir = await mkdtemp(join(tmpdir(), 'agent-orchestrator-fairness-'));
    const storage = RedisStorage.connect(redis.url, { prefix: PREFIX });
    const orchestrator = new Orchestrator({ storage, role: 'api' });
    const system = new FairSystem(redis, dir, storage, orchestrator);
    await orchestrator.start();
    const options = { target: redis.url, prefix: PREFIX, watched, concurrency: SLOTS_PER_WORKER };
    for (let n = 1; n <= WORKERS; n += 1) {
      const worker = new Child({ program: 'fair-worker', name: `w${n}`, dir, options });
      system.#workers.push(worker);
      await worker.receives('up');
    }
    return system;
  }

  /** Submits `tasks` tasks of a tenant as fast as possible. */
  async fill(tenant: string, tasks: number, body: Omit<TaskSubmission, 'type'>): Promise<void> {
    const { tasks: submitting } = this.orchestrator.tenant(tenant);
    for (let left = tasks; left > 0; left -= CONCURRENCY) {
      const some = Array.from({ length: Math.min(left, CONCURRENCY) }, () =>
        submitting.submit({ type: 'quick', ...body }),
      );
      await Promise.all(some);
    }
  }

  /** From the submit of a task to its beginning, in ms, for tasks submitted one after the other. */
  async waits(tenant: string, tasks: number, body: Omit<TaskSubmission, 'type'>): Promise<number[]> {
    const { tasks: submitting } = this.orchestrator.tenant(tenant);
    const waits: number[] = [];
    for (let n = 0; n < tasks; n += 1) {
      const submittedAt = machineMs();
      const { task_id } = await submitting.submit({ type: 'quick', ...body });
      const { result } = await submitting.wait(task_id);
      waits.push(Number(result) - submittedAt);
    }
    return waits.toSorted((a, b) => a - b);
  }

  /** Runs of the watched tenants, by beginning. */
  async ran(): Promise<Ran[]> {
    const entries = (await Promise.all(this.#workers.map((worker) => worker.entries()))).flat();
    return (entries as unknown as Ran[]).toSorted((a, b) => a.begunAt - b.begunAt);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.kill()));
    await this.orchestrator.stop({ graceMs: 0 });
    await this.storage.close();
    await this.redis.stop();
    await rm(this.dir, { recursive: true, force: true });
  }
}

export function percentile(sorted: readonly number[], percent: number): number {
  return (
    Math.round((sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * percent) / 100))] ?? 0) * 10) /
    10
  );
}

import { Orchestrator, type TaskSubmission } from '@agent-orchestrator/core';
import { RedisStorage } from '@agent-orchestrator/redis-adapter';
import { RedisServer } from '@agent-orchestrator/test-servers';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Child } from './child-process.js';
import { machineMs } from './fault-run.js';

/** A task of a tenant that is watched, from its beginning to its end by the machine's clock. */
export interface Ran {
  readonly tenant: string;
  readonly task: string;
  readonly begunAt: number;
  readonly endedAt: number;
}

const WORKERS = 2;
export const SLOTS_A_WORKER = 10;
const PREFIX = 'fairness';
const AT_ONCE = 200;

/** Two worker processes on a Redis of their own, and whoever submits to them in this process. */
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
    const told = { target: redis.url, prefix: PREFIX, watched, concurrency: SLOTS_A_WORKER };
    for (let n = 1; n <= WORKERS; n += 1) {
      const worker = new Child({ program: 'fair-worker', name: `w${n}`, dir, told });
      system.#workers.push(worker);
      await worker.says('up');
    }
    return system;
  }

  /** So many tasks of a tenant, as fast as it goes. */
  async fill(tenant: string, tasks: number, body: Omit<TaskSubmission, 'type'>): Promise<void> {
    const { tasks: submitting } = this.orchestrator.tenant(tenant);
    for (let left = tasks; left > 0; left -= AT_ONCE) {
      const some = Array.from({ length: Math.min(left, AT_ONCE) }, () =>
        submitting.submit({ type: 'quick', ...body }),
      );
      await Promise.all(some);
    }
  }

  /** From asking for one task to its beginning, in milliseconds, for tasks of which each waits for the one before. */
  async waits(tenant: string, tasks: number, body: Omit<TaskSubmission, 'type'>): Promise<number[]> {
    const { tasks: submitting } = this.orchestrator.tenant(tenant);
    const waits: number[] = [];
    for (let n = 0; n < tasks; n += 1) {
      const askedAt = machineMs();
      const { task_id } = await submitting.submit({ type: 'quick', ...body });
      const { result } = await submitting.wait(task_id);
      waits.push(Number(result) - askedAt);
    }
    return waits.toSorted((a, b) => a - b);
  }

  /** What ran of the tenants that are watched, by beginning. */
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

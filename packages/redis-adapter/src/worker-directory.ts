import type { WorkerDirectory, WorkerEntry } from '@agent-orchestrator/core';
import type { Claims } from './claims.js';
import { poolOf } from './pool.js';
import type { RedisState } from './redis-state.js';
import { answerOf } from './storage-errors.js';
import type { Tenants } from './tenants.js';

export class RedisWorkerDirectory implements WorkerDirectory {
  constructor(
    private readonly state: RedisState,
    private readonly tenants: Tenants,
    private readonly claims: Claims,
  ) {}

  async announce({ workerId, runs }: Parameters<WorkerDirectory['announce']>[0]): Promise<void> {
    const pool = poolOf(runs);
    const types = runs.map(({ type }) => type);
    const reply = await this.state.runSystem(
      'announce',
      this.state.now,
      workerId,
      JSON.stringify(runs),
      pool.id,
      ...types,
    );
    const [isOpening, joined, gone] = reply as [number, number, string[]];
    const { notices } = this.state.parts;
    if (joined === 1) notices.tell('worker_joined', `worker ${workerId} has joined`, { worker: workerId });
    for (const lost of gone) notices.tell('worker_lost', `worker ${lost} is lost`, { worker: lost });
    this.state.parts.bells.attend(workerId);
    // Also when everything was lost in a restart: whoever is ready stands in a new rotation.
    if (isOpening === 1) await this.tenants.takeIn(pool);
    this.state.parts.bells.ring({ bell: 'ready' });
  }

  async leave({ workerId }: Parameters<WorkerDirectory['leave']>[0]): Promise<void> {
    this.state.checkOpen();
    const { client, keys, bells } = this.state.parts;
    const left = await answerOf(client.hdel(`${keys.system}workers`, workerId));
    const { notices } = this.state.parts;
    if (left === 1) notices.tell('worker_left', `worker ${workerId} has left`, { worker: workerId });
    this.claims.forget(workerId);
    bells.leave(workerId);
  }

  async announcedAgoMs({
    type,
  }: Parameters<WorkerDirectory['announcedAgoMs']>[0]): Promise<number | undefined> {
    const ago = await this.state.runSystem('announcedAgo', this.state.now, type);
    return ago === null ? undefined : Number(ago);
  }

  async list(): Promise<readonly WorkerEntry[]> {
    this.state.checkOpen();
    const { client, keys } = this.state.parts;
    const workers = await answerOf(client.hgetall(`${keys.system}workers`));
    return Object.entries(workers).map(([workerId, text]) => {
      const { runs, seenAt } = JSON.parse(text) as Omit<WorkerEntry, 'workerId'>;
      return { workerId, runs, seenAt };
    });
  }
}

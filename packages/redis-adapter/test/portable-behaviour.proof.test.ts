import { randomUUID } from 'node:crypto';
import {
  accepted,
  FileStorage,
  InProcessTransport,
  Orchestrator,
  type ServiceCall,
  type Storage,
  TaskNotifier,
} from '@agent-orchestrator/core';
import { PortableFolder } from '@agent-orchestrator/core/server';
import type { PortableState } from '@agent-orchestrator/core/storage';
import { sharedCluster, sharedRedis } from '@agent-orchestrator/test-servers';
import { describe, expect, it, vi } from 'vitest';
import { type Folder, folder } from '../../core/test/file/folder.js';
import { RedisPortableState, RedisStorage, type RedisTarget } from '../src/index.js';
import { exported, imported } from './portable-storage.js';

const HANGS_MS = 60_000;

interface Place extends AsyncDisposable {
  open(): Promise<Storage & { close(): Promise<void> }>;
  readonly portable: PortableState;
}

async function inFolder(): Promise<Place> {
  const own: Folder = await folder();
  return {
    open: () => FileStorage.open(own.path),
    portable: new PortableFolder(own.path),
    [Symbol.asyncDispose]: () => own[Symbol.asyncDispose](),
  };
}

function onRedis(target: RedisTarget): Place {
  const prefix = `test-${randomUUID().slice(0, 8)}`;
  return {
    open: async () => RedisStorage.connect(target, { prefix }),
    portable: RedisPortableState.connect(target, { prefix }),
    [Symbol.asyncDispose]: async () => undefined,
  };
}

const places = {
  folder: inFolder,
  Redis: async () => onRedis((await sharedRedis()).url),
  Cluster: async () => onRedis({ nodes: (await sharedCluster()).nodes }),
};

/** An orchestrator on a storage, with what its workflows and its service have seen. */
class Running {
  readonly calls: ServiceCall[] = [];
  readonly order: string[] = [];
  readonly orchestrator: Orchestrator;
  readonly acme;
  readonly quiet;

  constructor(
    storage: Storage,
    private readonly mayFail: boolean,
  ) {
    this.orchestrator = new Orchestrator({
      storage,
      parkAfterMs: 0,
      leaseMs: 2_000,
      concurrency: 1,
      services: {
        slow: {
          run: (call: ServiceCall) => {
            this.calls.push(call);
            return accepted(`job-${this.calls.length}`);
          },
        },
      },
    });
    this.acme = this.orchestrator.tenant('acme');
    this.quiet = this.orchestrator.tenant('quiet');
    this.#addWorkflows();
  }

  #addWorkflows(): void {
    const { orchestrator } = this;
    orchestrator.workflow('asks', async (ctx) => {
      const own = await ctx.run('own', () => 'kept');
      return { own, said: await ctx.waitForSignal('decision') };
    });
    orchestrator.workflow('delegates', async (ctx) => ctx.call('slow', 'work', { n: 1 }));
    orchestrator.workflow('sleeps', async (ctx) => {
      await ctx.sleep(1_500);
      return 'awake';
    });
    orchestrator.workflow('turn', async (ctx, { name, waits = false }: { name: string; waits?: boolean }) => {
      if (waits) await ctx.waitForSignal('go');
      this.order.push(name);
      return name;
    });
    orchestrator.workflow('fails', () => {
      if (!this.mayFail) return 'mended';
      throw new Error('broken');
    });
  }

  async until(what: string, isSo: () => Promise<boolean>): Promise<void> {
    const check = async () => expect(await isSo(), what).toBe(true);
    await vi.waitFor(check, { timeout: HANGS_MS, interval: 20 });
  }
}

/** Work in every stage, by a process that ends in an orderly way. */
async function begin(place: Place) {
  const storage = await place.open();
  const running = new Running(storage, true);
  const { orchestrator, acme, quiet } = running;
  await orchestrator.start();
  const keyed = { idempotencyKey: 'the-key' };
  const done = await acme.tasks.submit({ type: 'turn', payload: { name: 'done' } }, keyed);
  await done.result();
  const dead = await acme.tasks.submit({ type: 'fails' });
  await acme.tasks.wait(dead.task_id).catch(() => undefined);
  const asks = await acme.tasks.submit({ type: 'asks' });
  const delegates = await acme.tasks.submit({ type: 'delegates' });
  await running.until('one job', async () => running.calls.length === 1);
  const sleeps = await acme.tasks.submit({ type: 'sleeps' });
  await acme.sessions.create({ session_id: 's', context: { colour: 'green' } });
  await acme.sessions.append('s', { role: 'user', content: 'hello' });
  const turns: { readonly task_id: string }[] = [];
  for (const [name, waits] of [
    ['first', true],
    ['second', false],
    ['third', false],
  ] as const)
    turns.push(await acme.tasks.submit({ type: 'turn', session_id: 's', payload: { name, waits } }));
  const rates = { requestsPerMinute: 90 };
  await orchestrator.tenants.configure('quiet', { paused: true, weight: 3, rates });
  for (const [name, priority] of [
    ['low', 0],
    ['usual', 4],
    ['urgent', 9],
    ['usual too', 4],
  ] as const)
    await quiet.tasks.submit({ type: 'turn', priority, payload: { name } });
  const requests = ['a', 'b', 'c'].map((name) => ({ type: 'turn', payload: { name, waits: true } }));
  const { batch } = await acme.batches.submit({ requests, max_in_flight: 1 });
  const later = await acme.tasks.submit({
    type: 'turn',
    payload: { name: 'later' },
    run_at: new Date(Date.now() + 2_500).toISOString(),
  });
  await running.until('all are parked', async () => {
    const states = await Promise.all(
      [asks, delegates, sleeps, turns[0] ?? asks].map(({ task_id: taskId }) =>
        storage.tasks.explain({ tenantId: 'acme', taskId }),
      ),
    );
    return states.every((one) => one?.state === 'parked');
  });
  await orchestrator.stop({ graceMs: 5_000 });
  await storage.close();
  return { done, dead, asks, delegates, sleeps, turns, batch, later };
}

async function goOn(place: Place, begun: Awaited<ReturnType<typeof begin>>): Promise<void> {
  const { done, dead, asks, delegates, sleeps, turns, batch, later } = begun;
  const storage = await place.open();
  const running = new Running(storage, false);
  const { orchestrator, acme, quiet } = running;
  await orchestrator.start();
  try {
    // What had ended is there, and a repeated request is the same one.
    expect(await acme.tasks.get(done.task_id)).toMatchObject({ status: 'completed', result: 'done' });
    const again = await acme.tasks.submit(
      { type: 'turn', payload: { name: 'done' } },
      { idempotencyKey: 'the-key' },
    );
    expect(again).toMatchObject({ task_id: done.task_id, replayed: true });
    // A signal, the report of a job that was open, a timer, a delay.
    await acme.tasks.signal(asks.task_id, 'decision', { approved: true });
    expect((await acme.tasks.wait(asks.task_id)).result).toEqual({ own: 'kept', said: { approved: true } });
    const slow = new TaskNotifier({
      serviceName: 'slow',
      transport: new InProcessTransport(orchestrator.hub('slow')),
    });
    await slow.notifyTaskCompletion({ task_id: 'job-1', tenant_id: 'acme', result: 'reported' });
    expect((await acme.tasks.wait(delegates.task_id)).result).toBe('reported');
    expect(running.calls).toEqual([]);
    await slow.close();
    expect((await acme.tasks.wait(sleeps.task_id)).result).toBe('awake');
    expect((await acme.tasks.wait(later.task_id)).result).toBe('later');
    // A session's history and its order.
    expect((await acme.sessions.messages('s')).map(({ content }) => content)).toEqual(['hello']);
    expect((await acme.sessions.get('s')).session.context).toEqual({ colour: 'green' });
    await acme.tasks.signal(turns[0]?.task_id ?? '', 'go');
    await acme.tasks.wait(turns[2]?.task_id ?? '');
    expect(running.order.filter((name) => name.match(/first|second|third/))).toEqual([
      'first',
      'second',
      'third',
    ]);
    // The settings of a tenant, and the order of its queue.
    expect((await orchestrator.tenants.get('quiet')).settings).toMatchObject({
      weight: 3,
      paused: true,
      rates: { requestsPerMinute: 90 },
    });
    await orchestrator.tenants.configure('quiet', { paused: false });
    await running.until(
      'the queue is empty',
      async () => (await quiet.tasks.list({ status: 'completed' })).tasks.length === 4,
    );
    expect(running.order.filter((name) => /low|usual|urgent/.test(name))).toEqual([
      'urgent',
      'usual',
      'usual too',
      'low',
    ]);
    // A batch and a dead letter.
    expect((await acme.batches.get(batch.batch_id)).counts).toMatchObject({ processing: 1, pending: 2 });
    await acme.batches.cancel(batch.batch_id, { reason: 'enough' });
    await running.until(
      'the batch is cancelled',
      async () => (await acme.batches.get(batch.batch_id)).counts.cancelled === 3,
    );
    const { task_id } = await orchestrator.admin.redrive({ tenantId: 'acme', taskId: dead.task_id });
    expect((await acme.tasks.wait(task_id)).result).toBe('mended');
  } finally {
    await orchestrator.stop({ graceMs: 100 });
    await storage.close();
  }
}

describe('a storage that was imported', () => {
  it.each([
    ['folder', 'Redis'],
    ['Redis', 'folder'],
    ['folder', 'Cluster'],
    ['Cluster', 'Redis'],
    ['folder', 'folder'],
  ] as const)(
    'goes on from a %s in a %s',
    async (from, to) => {
      await using source = await places[from]();
      await using target = await places[to]();
      const begun = await begin(source);
      const lines = await exported(source.portable);
      await imported(target.portable, lines);
      await goOn(target, begun);
    },
    120_000,
  );
});

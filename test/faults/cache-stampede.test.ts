import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { RedisStorage } from '@agent-orchestrator/redis-adapter';
import { RedisServer, sharedCluster, watchStderr } from '@agent-orchestrator/test-servers';
import { afterEach, expect, it } from 'vitest';

interface Report {
  readonly computed: number;
  /** Process ids of those that computed a value that it got. */
  readonly values: readonly number[];
  readonly hits: number;
  readonly answered: number;
}

/** A process that asks for cached values. */
class CacheNode {
  static readonly all = new Set<CacheNode>();
  readonly process: ChildProcess;
  readonly #messages: unknown[] = [];

  constructor(settings: object) {
    this.process = fork(new URL('programs/cache-node.mjs', import.meta.url).pathname, {
      env: { ...process.env, CACHE_SETTINGS: JSON.stringify(settings) },
      stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
    });
    watchStderr(this.process.stderr, 'programs/cache-node.mjs');
    this.process.on('message', (message) => this.#messages.push(message));
    CacheNode.all.add(this);
  }

  async received<T>(field: string): Promise<T> {
    for (;;) {
      const at = this.#messages.findIndex((message) => field in (message as object));
      if (at >= 0) return this.#messages.splice(at, 1)[0] as T;
      await once(this.process, 'message');
    }
  }

  isComputing(): boolean {
    return this.#messages.some((message) => 'computing' in (message as object));
  }

  ask(key: string): void {
    this.process.send({ key });
  }
}

afterEach(async () => {
  for (const { process: child } of CacheNode.all) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  }
  CacheNode.all.clear();
});

/** Starts processes with 250 callers each, which ask at the same time. */
async function started(count: number, settings: object): Promise<CacheNode[]> {
  const nodes = Array.from({ length: count }, () => new CacheNode({ callers: 250, ...settings }));
  await Promise.all(nodes.map((node) => node.received('ready')));
  return nodes;
}

const sum = (reports: readonly Report[], of: (report: Report) => number) =>
  reports.reduce((all, report) => all + of(report), 0);

async function savedTokens(storage: RedisStorage): Promise<number> {
  const rows = await storage.usage.sum({ tenantId: 'acme', from: '2020-01-01', to: '2099-12-31' });
  return rows.reduce((all, row) => all + row.saved_tokens, 0);
}

it('1,000 identical misses in four processes on one Redis are one computation', async () => {
  const redis = await RedisServer.start();
  const storage = RedisStorage.connect(redis.url);
  try {
    const nodes = await started(4, { url: redis.url, computeMs: 500 });
    for (let round = 1; round <= 3; round += 1) {
      for (const node of nodes) node.ask(`question ${round}`);
      const reports = await Promise.all(nodes.map((node) => node.received<Report>('computed')));
      expect(sum(reports, ({ answered }) => answered)).toBe(1_000);
      expect(sum(reports, ({ computed }) => computed)).toBe(1);
      expect(sum(reports, ({ hits }) => hits)).toBe(999);
      expect(new Set(reports.flatMap(({ values }) => values)).size).toBe(1);
      await expect.poll(() => savedTokens(storage), { timeout: 30_000 }).toBe(round * 99_900);
    }
  } finally {
    await storage.close();
    await redis.stop();
  }
});

it('1,000 identical misses in four processes on a Cluster are one computation', async () => {
  const { nodes: servers } = await sharedCluster();
  const nodes = await started(4, { nodes: servers, computeMs: 500 });
  const key = `question ${process.pid} ${Date.now()}`;
  for (const node of nodes) node.ask(key);
  const reports = await Promise.all(nodes.map((node) => node.received<Report>('computed')));
  expect(sum(reports, ({ computed }) => computed)).toBe(1);
  expect(sum(reports, ({ hits }) => hits)).toBe(999);
});

it('another process computes when the one that does is killed, once its lease has ended', async () => {
  const redis = await RedisServer.start();
  try {
    const [first, ...others] = await started(4, { url: redis.url, computeMs: 3_000 });
    if (!first) throw new Error('expected a process');
    first.ask('question');
    await expect.poll(() => first.isComputing()).toBe(true);
    for (const node of others) node.ask('question');
    const killedAt = Date.now();
    first.process.kill('SIGKILL');
    const reports = await Promise.all(others.map((node) => node.received<Report>('computed')));
    expect(sum(reports, ({ answered }) => answered)).toBe(750);
    expect(sum(reports, ({ computed }) => computed)).toBe(1);
    // The lease of ten seconds, a poll, and the computation.
    console.log(`answered ${Date.now() - killedAt} ms after the kill`);
  } finally {
    await redis.stop();
  }
});

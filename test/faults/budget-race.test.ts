import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FileStorage, MemoryStorage, Orchestrator, type Storage } from '@agent-orchestrator/core';
import { RedisStorage } from '@agent-orchestrator/redis-adapter';
import { RedisServer, watchStderr } from '@agent-orchestrator/test-servers';
import { afterEach, expect, it } from 'vitest';

interface Answer {
  readonly admitted: number;
  readonly refused: Readonly<Record<string, number>>;
}

const processes = new Set<ChildProcess>();

/** A process that is ready. */
async function started(settings: object): Promise<ChildProcess> {
  const node = fork(new URL('programs/budget-node.mjs', import.meta.url).pathname, {
    env: { ...process.env, BUDGET_SETTINGS: JSON.stringify(settings) },
    stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
  });
  processes.add(node);
  watchStderr(node.stderr, 'programs/budget-node.mjs');
  await once(node, 'message');
  return node;
}

async function ask(node: ChildProcess, what: object): Promise<Answer> {
  const answered = once(node, 'message');
  node.send(what);
  return (await answered)[0] as Answer;
}

async function kill(node: ChildProcess): Promise<void> {
  processes.delete(node);
  if (node.exitCode !== null || node.signalCode !== null) return;
  const exited = once(node, 'exit');
  node.kill('SIGKILL');
  await exited;
}

afterEach(async () => {
  await Promise.all([...processes].map(kill));
});

const BUDGET = { tenantId: 'acme', budgets: [{ period: 'month', tokens: 10_000 }] } as const;

/** 1,000 submissions at once, of 1,000 tokens each, against a budget of 10,000. */
async function race(storage: Storage): Promise<Answer> {
  await storage.tenants.configure(BUDGET);
  const orchestrator = new Orchestrator({ storage, role: 'api' }).workflow('work', () => 1);
  try {
    const acme = orchestrator.tenant('acme');
    const answers = await Promise.allSettled(
      Array.from({ length: 1_000 }, () => acme.tasks.submit({ type: 'work', budget: { tokens: 1_000 } })),
    );
    const codes = answers.flatMap((answer) =>
      answer.status === 'rejected' ? [(answer.reason as { code: string }).code] : [],
    );
    return { admitted: 1_000 - codes.length, refused: { [codes[0] ?? '']: codes.length } };
  } finally {
    await orchestrator.stop();
  }
}

const ADMITTED: Answer = { admitted: 10, refused: { budget_exceeded: 990 } };

it('1,000 submissions against a budget for 10 admit 10, in memory', async () => {
  expect(await race(new MemoryStorage())).toEqual(ADMITTED);
});

it('1,000 submissions against a budget for 10 admit 10, in a folder, and reopened none', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'budget-'));
  try {
    const storage = await FileStorage.open(folder);
    expect(await race(storage)).toEqual(ADMITTED);
    await storage.close();
    const again = await FileStorage.open(folder);
    expect(await race(again)).toEqual({ admitted: 0, refused: { budget_exceeded: 1_000 } });
    await again.close();
  } finally {
    await rm(folder, { recursive: true });
  }
});

it('1,000 submissions of four processes against a budget for 10 admit 10, on Redis', async () => {
  const redis = await RedisServer.start();
  const storage = RedisStorage.connect(redis.url);
  try {
    await storage.tenants.configure(BUDGET);
    const apis = await Promise.all(Array.from({ length: 4 }, () => started({ storage: redis.url })));
    const answers = await Promise.all(
      apis.map((node) => ask(node, { submits: 250, type: 'work', tokens: 1_000 })),
    );
    const admitted = answers.reduce((sum, answer) => sum + answer.admitted, 0);
    const refused = answers.reduce((sum, answer) => sum + (answer.refused['budget_exceeded'] ?? 0), 0);
    expect([admitted, refused]).toEqual([10, 990]);
  } finally {
    await storage.close();
    await redis.stop();
  }
});

/** A model over HTTP that uses ten tokens for each call, and cuts every twentieth answer after it has used them, if it is the first of its call. */
async function startModel() {
  const calls = new Map<string, number>();
  let requests = 0;
  const server = createServer((request: IncomingMessage, response) => {
    const callId = String(request.headers['idempotency-key']);
    requests += 1;
    const requestsOfCall = (calls.get(callId) ?? 0) + 1;
    calls.set(callId, requestsOfCall);
    request.resume().on('end', () => {
      const answer = { result: 1, usage: { prompt_tokens: 10, model: 'm' } };
      if (requests % 20 === 0 && requestsOfCall < 2) request.socket.destroy();
      else setTimeout(() => response.end(JSON.stringify(answer)), 20);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    calls,
    requests: () => requests,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

it('the ledger has each call once, over resends, cut answers and killed workers, on Redis', async () => {
  const redis = await RedisServer.start();
  const storage = RedisStorage.connect(redis.url);
  const model = await startModel();
  try {
    let worker = await started({ storage: redis.url, service: model.url });
    const { admitted } = await ask(worker, { submits: 200, type: 'work', tokens: 50 });
    expect(admitted).toBe(200);
    for (const requests of [150, 500]) {
      await expect.poll(model.requests, { timeout: 60_000 }).toBeGreaterThan(requests);
      await kill(worker);
      worker = await started({ storage: redis.url, service: model.url });
    }
    const counts = async () => (await storage.tasks.counts({ tenantId: 'acme' })).counts;
    await expect.poll(async () => (await counts()).completed, { timeout: 120_000 }).toBe(200);
    const range = { tenantId: 'acme', from: '2020-01-01', to: '2099-12-31' };
    const [all] = await storage.usage.sum({ ...range, by: ['model'] });
    expect(all).toMatchObject({ requests: 1_000, tokens: 10_000, prompt_tokens: 10_000 });
    expect(all?.cost).toBeCloseTo(0.01, 9);
    const byTask = await storage.usage.sum({ ...range, by: ['task'] });
    expect(byTask).toHaveLength(200);
    expect(new Set(byTask.map(({ tokens }) => tokens))).toEqual(new Set([50]));
    expect(model.calls.size).toBe(1_000);
    console.log(`${model.requests()} requests for ${model.calls.size} calls, ${all?.requests} in the ledger`);
  } finally {
    model.close();
    await storage.close();
    await redis.stop();
  }
});

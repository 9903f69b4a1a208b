import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RedisServer } from '@agent-orchestrator/test-servers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cli, type Folder, folder, type RunningServer, startServer } from './cli-process.js';

const KEYS = { acme: 'key-of-acme-0123', globex: 'key-of-globex-0123', initech: 'key-of-initech-01' };
const OPERATOR = 'token-of-the-operators';
/** 20 a second, in slices of 60 at most. */
const RATE = { perMinute: 1_200, burst: 100 };
const SLICE = RATE.perMinute / 20;
const PROCESSES = 3;

let place: Folder;
let redis: RedisServer;
let servers: RunningServer[];

beforeAll(async () => {
  place = await folder();
  redis = await RedisServer.start();
  const apiKeys = Object.fromEntries(Object.entries(KEYS).map(([tenant, key]) => [key, tenant]));
  const config = { apiKeys, rates: { tenant: RATE }, operatorToken: OPERATOR };
  await writeFile(join(place.path, 'orchestrator.config.json'), JSON.stringify(config));
  const options = { cwd: place.path, env: { ORCHESTRATOR_REDIS_URL: redis.url } };
  servers = await Promise.all(Array.from({ length: PROCESSES }, () => startServer(['serve'], options)));
});
afterAll(async () => {
  for (const server of servers) await server[Symbol.asyncDispose]();
  await redis[Symbol.asyncDispose]();
  await place[Symbol.asyncDispose]();
});

const ask = (server: RunningServer, key: string) =>
  fetch(`${server.url}/v1/tasks`, { headers: { authorization: `Bearer ${key}` } });

async function statusOf(server: RunningServer, key: string): Promise<number> {
  const answer = await ask(server, key);
  await answer.arrayBuffer();
  return answer.status;
}

/** Asks every server as fast as it answers, with several requests at a time. */
async function flood(key: string, ms: number): Promise<Record<number, number>> {
  const counts: Record<number, number> = {};
  const until = performance.now() + ms;
  const callers = servers.flatMap((server) =>
    Array.from({ length: 8 }, async () => {
      while (performance.now() < until) {
        const status = await statusOf(server, key);
        counts[status] = (counts[status] ?? 0) + 1;
      }
    }),
  );
  await Promise.all(callers);
  return counts;
}

describe('three processes on one Redis', () => {
  it('admit burst and rate together, and at most a slice more each', async () => {
    const began = performance.now();
    const counts = await flood(KEYS.acme, 5_000);
    const seconds = (performance.now() - began) / 1_000;
    const { 200: admitted = 0, 429: refused = 0, ...others } = counts;
    expect(others).toEqual({});
    expect(admitted).toBeLessThanOrEqual(RATE.burst + (seconds * RATE.perMinute) / 60 + PROCESSES * SLICE);
    expect(admitted).toBeGreaterThanOrEqual(RATE.burst + 3 * (RATE.perMinute / 60));
    expect(refused).toBeGreaterThan(admitted);
    // Another tenant has an allowance of its own.
    for (const server of servers) expect(await statusOf(server, KEYS.globex)).toBe(200);
  });

  it('let a client through that honours Retry-After', async () => {
    const [server] = servers as [RunningServer];
    for (let left = 10; left > 0; left -= 1) {
      const answer = await ask(server, KEYS.acme);
      await answer.arrayBuffer();
      if (answer.status === 200) return;
      expect(answer.status).toBe(429);
      const seconds = Number(answer.headers.get('retry-after'));
      await new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
    }
    throw new Error('expected to be let through within ten tries');
  });

  it('follow settings of a tenant within seconds', async () => {
    const env = { ORCHESTRATOR_URL: servers[0]?.url ?? '', ORCHESTRATOR_OPERATOR_TOKEN: OPERATOR };
    const set = (...flags: string[]) => cli(['tenants', 'set', 'initech', '--create', ...flags], { env });
    for (const server of servers) expect(await statusOf(server, KEYS.initech)).toBe(200);
    const lowered = await set('--requests-per-minute', '6', '--burst', '2');
    expect(lowered.stdout).toMatch(/tenant initech: .*, 6 requests\/min, burst 2;/);
    await new Promise((resolve) => setTimeout(resolve, 5_500));
    const { 200: admitted = 0 } = await flood(KEYS.initech, 2_000);
    expect(admitted).toBeLessThanOrEqual(2 + PROCESSES);
    expect((await set('--requests-per-minute', 'none', '--burst', 'none')).stdout).toMatch(/no limit; ready/);
    await new Promise((resolve) => setTimeout(resolve, 5_500));
    const { 200: again = 0 } = await flood(KEYS.initech, 2_000);
    expect(again).toBeGreaterThan(30);
  });

  it('use up what they have leased when Redis is away, answer 503, and recover', async () => {
    await flood(KEYS.globex, 500);
    await new Promise((resolve) => setTimeout(resolve, 6_000));
    await redis.kill();
    const { 200: admitted = 0, 503: refused = 0, 429: limited = 0 } = await flood(KEYS.globex, 4_000);
    expect(admitted + limited).toBeLessThanOrEqual(PROCESSES * SLICE);
    expect(refused).toBeGreaterThan(0);
    await redis.restart();
    const until = performance.now() + 10_000;
    for (const server of servers)
      while ((await statusOf(server, KEYS.globex)) !== 200)
        if (performance.now() > until) throw new Error('expected to recover within ten seconds');
  });
});

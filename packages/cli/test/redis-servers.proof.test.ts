import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Task } from '@agent-orchestrator/core';
import { RedisCluster, RedisSentinel, RedisServer } from '@agent-orchestrator/test-servers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cli, CliProcess, type Folder, folder, records, startServer } from './cli-process.js';

const KEY = 'key-of-acme-0123';
const keys = { ORCHESTRATOR_API_KEYS: `${KEY}=acme` };
/** `hold` notes which process runs it, and goes on once there is a file "go". */
const CONFIG = `
import { appendFile, access } from 'node:fs/promises';
export default {
  workflows: {
    hello: async (ctx, input) => ({ said: 'hello ' + input.name, pid: process.pid }),
    bad: async () => { throw new Error('this one is bad'); },
    hold: async (ctx) => {
      await appendFile('held', process.pid + '\\n');
      while (await access('go').then(() => false, () => true)) await new Promise((resolve) => setTimeout(resolve, 20));
      return { pid: process.pid };
    },
  },
};`;

let place: Folder;

beforeAll(async () => {
  place = await folder();
  await writeFile(join(place.path, 'orchestrator.config.mjs'), CONFIG);
});
afterAll(() => place[Symbol.asyncDispose]());

const serve = (args: readonly string[], env: Readonly<Record<string, string>>) =>
  startServer(['serve', ...args], { cwd: place.path, env });

async function get(url: string, path: string) {
  const answer = await fetch(`${url}${path}`, { headers: { authorization: `Bearer ${KEY}` } });
  return { status: answer.status, text: await answer.text() };
}

async function submit(url: string, type: string, payload: object = {}): Promise<string> {
  const answer = await fetch(`${url}/v1/tasks`, {
    method: 'POST',
    headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
    body: JSON.stringify({ type, payload }),
  });
  expect(answer.status).toBe(202);
  return ((await answer.json()) as Task).task_id;
}

/** The task once it has ended. */
async function ended(url: string, id: string): Promise<Task> {
  for (;;) {
    const task = JSON.parse((await get(url, `/v1/tasks/${id}`)).text) as Task;
    if (task.finished_at !== undefined) return task;
    await delay(20);
  }
}

async function eventually<T>(look: () => Promise<T | undefined>): Promise<T> {
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    await delay(20);
  }
}

/** A task goes through a server there, and a command sees it. */
async function works(target: string): Promise<void> {
  const env = { ...keys, ORCHESTRATOR_REDIS_URL: target };
  await using server = await serve([], env);
  const task = await ended(server.url, await submit(server.url, 'hello', { name: 'you' }));
  expect(task.result).toMatchObject({ said: 'hello you' });
  const { code, stdout } = await cli(['queues', 'list', '--json'], { env });
  expect(code).toBe(0);
  expect(records(stdout)).toMatchObject([{ tenant_id: 'acme', counts: { completed: 1 } }]);
  server.process.kill('SIGTERM');
  expect((await server.process.ended).code).toBe(0);
}

describe('three processes on one Redis', () => {
  let redis: RedisServer;
  let env: Readonly<Record<string, string>>;
  let api: Awaited<ReturnType<typeof startServer>>;
  let workers: Awaited<ReturnType<typeof startServer>>[];

  beforeAll(async () => {
    redis = await RedisServer.start({ appendonly: true });
    env = { ORCHESTRATOR_REDIS_URL: redis.url };
    [api, ...workers] = await Promise.all([
      serve(['--role', 'api'], { ...env, ...keys }),
      serve(['--role', 'worker', '--concurrency', '3'], env),
      serve([], { ...env, ORCHESTRATOR_ROLE: 'worker' }),
    ]);
  });
  afterAll(async () => {
    await Promise.all([api, ...workers].map((server) => server[Symbol.asyncDispose]()));
    await redis.stop();
  });

  it('print their role and URL on stdout, and no warnings on a durable Redis', () => {
    const lines = [api, ...workers].map(({ process }) => records(process.stdout)[0]);
    expect(lines.map((line) => line?.['role'])).toEqual(['api', 'worker', 'worker']);
    const logged = [api, ...workers].flatMap(({ process }) => records(process.stderr));
    expect(logged.filter(({ level }) => level !== 'info')).toEqual([]);
  });

  it('serve health checks on their ports; a worker serves nothing else', async () => {
    for (const { url } of [api, ...workers]) {
      expect(await get(url, '/health/live')).toMatchObject({ status: 200 });
      expect(await get(url, '/health/ready')).toMatchObject({ status: 200 });
      expect(await get(url, '/metrics')).toMatchObject({
        status: 200,
        text: expect.stringContaining('# TYPE'),
      });
    }
    expect((await get(api.url, '/v1/tasks')).status).toBe(200);
    for (const { url } of workers) expect((await get(url, '/v1/tasks')).status).toBe(404);
  });

  it('share the work: a worker runs what the API accepts', async () => {
    const task = await ended(api.url, await submit(api.url, 'hello', { name: 'you' }));
    expect(task).toMatchObject({ status: 'completed', result: { said: 'hello you' } });
    const pids = workers.map(({ process }) => process.pid);
    expect(pids).toContain((task.result as { pid: number }).pid);
  });

  it('show their tasks to commands over HTTP and to those with direct access alike', async () => {
    const id = await submit(api.url, 'bad');
    await ended(api.url, id);
    const client = { ORCHESTRATOR_URL: api.url, ORCHESTRATOR_API_KEY: KEY };
    const [http, shown, why, straight, dead] = await Promise.all([
      cli(['tasks', 'list', '--json'], { env: client }),
      cli(['tasks', 'show', id, '--json'], { env: client }),
      cli(['tasks', 'why', id, '--json', '--tenant', 'acme'], { env }),
      cli(['tasks', 'list', '--json', '--tenant', 'acme'], { env }),
      cli(['dlq', 'list', '--json', '--redis', redis.url, '--tenant', 'acme']),
    ]);
    expect([http, shown, why, straight, dead].map(({ code }) => code)).toEqual([0, 0, 0, 0, 0]);
    expect(records(http.stdout)).toEqual(records(straight.stdout));
    expect(records(dead.stdout)).toMatchObject([{ task_id: id }]);
    // What was thrown is for operators: a tenant's key does not get at it.
    expect(records(why.stdout)).toMatchObject([{ diagnostic: { message: 'this one is bad' } }]);
    for (const { stdout } of [http, shown]) expect(stdout).not.toMatch(/this one is bad|diagnostic/);
  });

  it('publish system events until Ctrl-C', async () => {
    await using tail = new CliProcess(['tail', '--system', '--json'], { env });
    const systemEvent = ['kind', 'test', 'text', 'the first', 'worker_id', 'w1'];
    await redis.ask(['XADD', 'orchestrator:system:notifications', '*', ...systemEvent]);
    await tail.printed('stdout', /the first/);
    await redis.ask(['XADD', 'orchestrator:system:notifications', '*', 'kind', 'test', 'text', 'the second']);
    await tail.printed('stdout', /the second/);
    tail.kill('SIGINT');
    const { code, stdout, stderr } = await tail.ended;
    expect([code, stderr]).toEqual([130, '']);
    expect(records(stdout).filter(({ kind }) => kind === 'test')).toEqual([
      {
        at: expect.stringMatching(/^\d{4}-.*Z$/) as string,
        kind: 'test',
        text: 'the first',
        worker_id: 'w1',
      },
      { at: expect.stringMatching(/^\d{4}-.*Z$/) as string, kind: 'test', text: 'the second' },
    ]);
  });

  it('survive an outage of Redis, and are not ready during it', { timeout: 60_000 }, async () => {
    const isReady = async ({ url }: { readonly url: string }) => (await get(url, '/health/ready')).status;
    await redis.kill();
    for (const server of [api, ...workers]) {
      await eventually(async () => ((await isReady(server)) === 503 ? true : undefined));
    }
    await redis.restart();
    for (const server of [api, ...workers]) {
      await eventually(async () => ((await isReady(server)) === 200 ? true : undefined));
    }
    const task = await ended(api.url, await submit(api.url, 'hello', { name: 'again' }));
    expect(task.status).toBe('completed');
  });

  it('get the unfinished tasks of a worker that is stopped', { timeout: 60_000 }, async () => {
    const id = await submit(api.url, 'hold');
    const held = join(place.path, 'held');
    const holders = async () => (await readFile(held, 'utf8').catch(() => '')).split('\n').slice(0, -1);
    const first = await eventually(async () => (await holders())[0]);
    const stopped = workers.find(({ process }) => String(process.pid) === first);
    stopped?.process.kill('SIGTERM');
    expect((await stopped?.process.ended)?.code).toBe(0);
    const second = await eventually(async () => (await holders())[1]);
    expect(second).not.toBe(first);
    await appendFile(join(place.path, 'go'), '');
    const task = await ended(api.url, id);
    expect(task).toMatchObject({ status: 'completed', attempt: 1, result: { pid: Number(second) } });
  });
});

describe('orchestrator-cli serve', () => {
  it('runs on a Redis Cluster', { timeout: 60_000 }, async () => {
    await using cluster = await RedisCluster.start();
    await works(`redis://${cluster.nodes.join(',')}`);
  });

  it('runs on Redis with sentinels', { timeout: 60_000 }, async () => {
    await using group = await RedisSentinel.start();
    await works(`redis+sentinel://${group.addresses.join(',')}/${group.name}`);
  });
});

describe('the documented ACL of the Redis user', () => {
  const documented = async () => {
    const text = await readFile(new URL('../../../docs/operating-redis.md', import.meta.url), 'utf8');
    const [, name = '', rights = ''] = /^ACL SETUSER (\w+) (.+)$/m.exec(text) ?? [];
    const [, onCluster = ''] = /^On a Cluster also `(.+?)`/m.exec(text) ?? [];
    const [, password = ''] = /(?:^| )>(\S+)/.exec(rights) ?? [];
    return { name, password, rights: rights.split(' '), onCluster: onCluster.split(' ') };
  };

  it('suffices on one server', { timeout: 60_000 }, async () => {
    await using redis = await RedisServer.start({ appendonly: true });
    const { name, password, rights } = await documented();
    await redis.ask(['ACL', 'SETUSER', name, ...rights]);
    await redis.ask(['ACL', 'SETUSER', 'default', 'off']);
    await works(`redis://${name}:${password}@127.0.0.1:${redis.port}`);
  });

  it('suffices on a Cluster', { timeout: 60_000 }, async () => {
    await using cluster = await RedisCluster.start({ appendonly: true });
    const { name, password, rights, onCluster } = await documented();
    for (const node of cluster.servers) {
      await node.ask(['ACL', 'SETUSER', name, ...rights, ...onCluster]);
      await node.ask(['ACL', 'SETUSER', 'default', 'off']);
    }
    await works(`redis://${name}:${password}@${cluster.nodes.join(',')}`);
  });
});

describe('orchestrator-cli dev on Redis', () => {
  it('keeps all data when it ends', { timeout: 60_000 }, async () => {
    await using redis = await RedisServer.start({ appendonly: true });
    await using own = await folder();
    const options = { cwd: own.path };
    const dev = ['dev', '--redis', redis.url];
    const first = await startServer(dev, options);
    const answer = await cli(['chat', '--json', 'What is 6 * 7?'], options);
    expect(answer.code).toBe(0);
    const [{ session_id: session } = {}] = records(answer.stdout);
    first.process.kill('SIGTERM');
    expect((await first.process.ended).code).toBe(0);
    await using second = await startServer(dev, options);
    const { stdout } = await cli(['sessions', 'show', String(session), '--json'], options);
    expect(records(stdout)).toMatchObject([{ messages: [{ role: 'user' }, { role: 'assistant' }] }]);
    second.process.kill('SIGTERM');
    await second.process.ended;
  });

  it.each([[[]], [['--split']]])(
    'keeps the documents when it is killed, with flags %j',
    async (flags) => {
      await using redis = await RedisServer.start({ appendonly: true });
      await using own = await folder();
      await writeFile(
        join(own.path, 'lamp.md'),
        '# Lamp\n\nNight mode dims the lamp at ten in the evening.\n',
      );
      const options = { cwd: own.path, keepInput: true };
      const dev = ['dev', '--redis', redis.url, ...flags];
      {
        await using first = await startServer(dev, options);
        expect(await cli(['ingest', 'lamp.md'], options)).toMatchObject({ code: 0 });
        first.process.kill('SIGKILL');
        await first.process.ended;
      }
      await using second = await startServer(dev, options);
      const { code, stdout } = await cli(['chat', 'What does night mode do?'], { cwd: own.path });
      expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringContaining('dims the lamp') });
      second.process.kill('SIGTERM');
      expect((await second.process.ended).code).toBe(0);
    },
    120_000,
  );
});

import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { Orchestrator, type JsonValue } from '@agent-orchestrator/core';
import { RedisEntryStore } from '@agent-orchestrator/redis-adapter';
import { sharedRedis } from '@agent-orchestrator/test-servers';
import { createIdentities, OrchestratorServer } from '@agent-orchestrator/ws-server';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import {
  readServiceStorage,
  SERVICE_PROGRAM,
  type ServiceProcess,
  serviceDefinitions,
  startServiceProcess,
} from '../src/index.js';
import type { Answer } from './direct-gateway.js';

const definitions = serviceDefinitions({ embedding: 'hashed' });
const tokenOf = (service: string) => `token-of-${service}`;
const orchestrator = new Orchestrator();
const server = new OrchestratorServer(orchestrator, {
  identities: createIdentities({
    apiKeys: [],
    serviceTokens: definitions.map(({ name }) => ({ service: name, token: tokenOf(name) })),
  }),
});
const running = new Map<string, ServiceProcess>();
let folder = '';

function start(name: string): Promise<ServiceProcess> {
  const definition = serviceDefinitions({ embedding: 'hashed' }).find((each) => each.name === name);
  if (!definition) throw new Error(`no service ${name}`);
  return startServiceProcess({ definition, orchestratorUrl: server.url, token: tokenOf(name) });
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'service-process-'));
  await server.listen(0);
  for (const { name } of definitions) {
    const service = await start(name);
    running.set(name, service);
    orchestrator.service(name, { url: service.url, token: tokenOf(name) });
  }
});

afterAll(async () => {
  await Promise.all([...running.values()].map((service) => service.stop()));
  await server.stop({ graceMs: 0 });
  await rm(folder, { recursive: true });
});

describe('the local stack over HTTP', () => {
  test('ingests, answers, and uses tools', async () => {
    const acme = orchestrator.tenant('acme');
    const run = async (submission: Parameters<typeof acme.tasks.submit>[0]) => {
      const { task_id } = await acme.tasks.submit(submission);
      return acme.tasks.wait(task_id, { timeoutMs: 20_000 });
    };
    const content = '# Lamp\n\n## Night mode\n\nNight mode dims the lamp at ten in the evening.';
    const input = { documents: [{ name: 'lamp.md', content }] };
    expect(await run({ type: 'workflow', payload: { workflow: 'ingestion', input } })).toMatchObject({
      status: 'completed',
      result: { documents: [{ name: 'lamp.md', chunks: 1 }] },
    });
    const chat = async (message: string): Promise<Answer> => {
      const { error, result } = await run({ type: 'agent_execution', session_id: 's', payload: { message } });
      expect(error).toBeUndefined();
      return result as unknown as Answer;
    };
    expect((await chat('What does night mode do?')).sources?.[0]?.quote).toContain('dims the lamp');
    expect((await chat("what's 17% of 2,340?")).content).toContain('= 397.8');
  });
});

let calls = 0;

function callOf(operation: string, input: JsonValue, callId?: string) {
  calls += 1;
  const id = `00000000-0000-4000-8000-${String(calls).padStart(12, '0')}`;
  return { call_id: callId ?? id, task_id: id, tenant_id: 'acme', operation, input, attempt: 1 };
}

async function post(url: string, operation: string, body: unknown, token = tokenOf('query')) {
  const response = await fetch(`${url}/${operation}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  return { status: response.status, body: (await response.json()) as Record<string, JsonValue> };
}

describe('a service process over HTTP', () => {
  const url = () => running.get('query')?.url ?? '';
  const call = callOf('list_documents', {});

  test.each([
    ['a wrong token', 401, 'unauthorized', 'list_documents', call, 'token-of-another'],
    ['an operation that it does not have', 404, 'not_found', 'fly', callOf('fly', {}), undefined],
    ['another operation than in the body', 400, 'invalid_request', 'query', call, undefined],
    ['what is not JSON', 400, 'invalid_request', 'query', '{', undefined],
    ['what is not a call', 400, 'invalid_request', 'query', { question: 'hm' }, undefined],
    ['a dangerous key', 400, 'invalid_request', 'query', '{"__proto__": {}}', undefined],
    [
      'an input that does not fit',
      400,
      'invalid_request',
      'query',
      callOf('query', { question: 5 }),
      undefined,
    ],
    ['too much', 413, 'payload_too_large', 'query', callOf('query', 'x'.repeat(1_200_000)), undefined],
  ] as const)('refuses %s', async (_, status, code, operation, body, token) => {
    expect(await post(url(), operation, body, token)).toMatchObject({ status, body: { code, status } });
  });

  test('responds to a health check', async () => {
    const response = await fetch(`${url()}/health`);
    expect([response.status, await response.json()]).toEqual([200, { service: 'query', status: 'ok' }]);
  });

  test('answers a repeated call as before', async () => {
    const later = callOf('query', { question: 'What is what?' });
    const first = await post(url(), 'query', later);
    expect(first).toMatchObject({ status: 202, body: { job_id: expect.any(String) } });
    expect(await post(url(), 'query', later)).toEqual(first);
    const other = { ...later, input: { question: 'And what is not?' } };
    expect(await post(url(), 'query', other)).toMatchObject({ body: { code: 'idempotency_conflict' } });
  });
});

/** A process of its own, with its address. */
async function spawnService(name: string, storage: string) {
  const child = spawn(process.execPath, [SERVICE_PROGRAM, name], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: {
      PATH: process.env['PATH'],
      ORCHESTRATOR_URL: server.url,
      SERVICE_TOKEN: tokenOf(name),
      SERVICE_STORAGE: storage,
    },
  });
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  let stderr = '';
  child.stderr.on('data', (data: Buffer) => (stderr += data.toString()));
  const kill = () => (child.kill('SIGKILL'), ended);
  onTestFinished(async () => void (await kill()));
  const line = new Promise<string>((resolve) => createInterface(child.stdout).once('line', resolve));
  const first = await Promise.race([line, ended]);
  const url = typeof first === 'string' ? (JSON.parse(first) as { url: string }).url : '';
  return { url, kill, ended, stderr: () => stderr };
}

describe('a service process that replaces another', () => {
  const agent = { agent_id: 'robot', name: 'Robot', instructions: 'Be brief.' };
  const token = tokenOf('agent_management');

  async function agentsAt(url: string): Promise<string[]> {
    const { body } = await post(url, 'list_agents', callOf('list_agents', {}), token);
    return (body['result'] as { agents: { agent_id: string }[] }).agents.map(({ agent_id }) => agent_id);
  }

  test('has the state of one that was killed, and takes its folder over', async () => {
    const storage = `file:${join(folder, 'agents')}`;
    const first = await spawnService('agent_management', storage);
    const put = (url: string, agent_id: string) =>
      post(url, 'put_agent', callOf('put_agent', { ...agent, agent_id }), token);
    expect(await put(first.url, 'robot')).toMatchObject({ status: 200 });
    const second = await spawnService('agent_management', storage);
    expect(await second.ended).toBe(78);
    expect(second.stderr()).toContain('expected a folder that no other process uses');
    await first.kill();
    const third = await spawnService('agent_management', storage);
    expect(await agentsAt(third.url)).toContain('robot');
    expect(await put(third.url, 'other')).toMatchObject({ status: 200 });
    await third.kill();
    const fourth = await spawnService('agent_management', storage);
    expect(await agentsAt(fourth.url)).toEqual(expect.arrayContaining(['robot', 'other']));
  });

  test('refuses a storage that it does not know, without showing it', async () => {
    const { ended, stderr } = await spawnService('query', 'postgres://me:secret@host/data');
    expect(await ended).toBe(78);
    expect(stderr()).toContain('SERVICE_STORAGE: expected file:<folder>');
    expect(stderr()).not.toContain('secret');
  });
});

describe('readServiceStorage', () => {
  test('opens a Redis, with keys of the service', async () => {
    const { url } = await sharedRedis();
    const open = readServiceStorage(url);
    const service = `test-${randomUUID().slice(0, 8)}`;
    const { signal } = new AbortController();
    const store = await open?.(service, { signal });
    await store?.put({ tenantId: 'acme', changes: [{ key: 'a', value: 1 }] });
    await store?.close();
    await using again = RedisEntryStore.connect(url, { service });
    const found: unknown[] = [];
    for await (const { value } of again.entries({ signal })) found.push(value);
    expect(found).toEqual([1]);
    await again.put({ tenantId: 'acme', changes: [{ key: 'a' }] });
  });

  test.each(['redis://h:6379?db=1', 'redis+sentinel://h', 'redis://h/x', 'rediss://:%zz@h1,h2/'])(
    'refuses %s when it is opened, without showing it',
    async (url) => {
      const open = async () => {
        const store = await readServiceStorage(url)?.('query', { signal: new AbortController().signal });
        await store?.close();
      };
      await expect(open()).rejects.toMatchObject({
        code: 'invalid_request',
        message: expect.not.stringContaining('%zz'),
      });
    },
  );

  test.each(['', 'file:', 'file://host/folder', 'memory', 'memory:x', '/data', 'file:a\0b'])(
    'refuses %j',
    (url) => {
      expect(() => readServiceStorage(url, 'SERVICE_STORAGE')).toThrow(
        'SERVICE_STORAGE: expected file:<folder>',
      );
    },
  );

  test('opens no store in memory', () => {
    expect(readServiceStorage('memory:')).toBeUndefined();
  });

  test.each([
    ['a path', (path: string) => `file:${path}`],
    ['a URL', (path: string) => pathToFileURL(path).href],
  ])('opens a folder named by %s', async (name, urlOf) => {
    const open = readServiceStorage(urlOf(join(folder, name)));
    const store = await open?.('query', { signal: new AbortController().signal });
    expect(await readdir(join(folder, name))).toContain('entries-1');
    await store?.close();
  });
});

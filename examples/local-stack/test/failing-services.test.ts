import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { randomUUID } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { type CallStage, MemoryStorage, Orchestrator, type Task } from '@agent-orchestrator/core';
import { RedisStorage } from '@agent-orchestrator/redis-adapter';
import { sharedRedis } from '@agent-orchestrator/test-servers';
import { createIdentities, OrchestratorServer } from '@agent-orchestrator/ws-server';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  type DefinitionOptions,
  type ServiceProcess,
  serviceDefinitions,
  startServiceProcess,
} from '../src/index.js';

type Answer = (response: ServerResponse, asked: number) => void;

/** An HTTP server that notes the time of each request. */
class CountingServer {
  answer: Answer = () => {};
  readonly times: number[] = [];
  readonly #server: Server = createServer((request, response) => {
    request.resume().on('end', () => this.#serve(request, response));
  });

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  #serve(_request: IncomingMessage, response: ServerResponse): void {
    this.times.push(performance.now());
    this.answer(response, this.times.length);
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

const fails =
  (status: number, headers: () => Record<string, string> = () => ({})): Answer =>
  (response) =>
    void response.writeHead(status, headers()).end('{}');
const writes: Answer = (response) =>
  void response
    .writeHead(200, { 'content-type': 'text/event-stream' })
    .end(
      `data: ${JSON.stringify({ choices: [{ delta: { content: 'At ten [1].' }, finish_reason: 'stop' }] })}\n\n`,
    );
/** `first` until the n-th request, which is answered well. */
const until =
  (n: number, first: Answer): Answer =>
  (response, asked) =>
    asked < n ? first(response, asked) : writes(response, asked);

const TOKEN = 'token-of-';
const model = new CountingServer();
const embedder = new CountingServer();
const flaky = new CountingServer();

describe.each(['memory', 'redis'])('a chat over services of their own, on %s', (kind) => {
  const running = new Map<string, ServiceProcess>();
  const calls = new Map<string, number>();
  const counted: CallStage = (call, next) => {
    calls.set(call.service.name, (calls.get(call.service.name) ?? 0) + 1);
    return next(call);
  };
  let orchestrator: Orchestrator;
  let server: OrchestratorServer;
  let options: DefinitionOptions;
  let tenant = '';

  async function start(name: string, port?: number): Promise<ServiceProcess> {
    const definition = serviceDefinitions(options).find((each) => each.name === name);
    if (!definition) throw new Error(`no service ${name}`);
    const token = TOKEN + name;
    const service = await startServiceProcess({
      definition,
      orchestratorUrl: server.url,
      token,
      report: () => {},
      ...(port !== undefined && { port }),
    });
    running.set(name, service);
    orchestrator.service(name, { url: service.url, token });
    return service;
  }

  beforeAll(async () => {
    const llm = { url: await model.listen(), model: 'tiny', timeoutMs: 400 };
    options = { llm, embedding: { url: await embedder.listen(), model: 'vectors' } };
    const storage = kind === 'memory' ? new MemoryStorage() : RedisStorage.connect((await sharedRedis()).url);
    orchestrator = new Orchestrator({ storage, callStages: [counted] });
    const serviceTokens = [...serviceDefinitions(options).map(({ name }) => name), 'flaky'].map(
      (service) => ({
        service,
        token: TOKEN + service,
      }),
    );
    server = new OrchestratorServer(orchestrator, {
      identities: createIdentities({ apiKeys: [], serviceTokens }),
    });
    await server.listen(0);
    for (const { name } of serviceDefinitions(options)) await start(name);
    orchestrator.service('flaky', { url: await flaky.listen() });
  });

  afterAll(async () => {
    await Promise.all([...running.values()].map((service) => service.stop({ drainMs: 0 })));
    await server.stop({ graceMs: 0 });
    await Promise.all([model, embedder, flaky].map((each) => each.close()));
  });

  beforeEach(async () => {
    tenant = `t-${randomUUID()}`;
    embedder.answer = (response) =>
      void response.writeHead(200).end(JSON.stringify({ data: [{ index: 0, embedding: [1, 0, 0] }] }));
    const content = '# Lamp\n\n## Night mode\n\nNight mode dims the lamp at ten in the evening.';
    const ingested = await run({
      type: 'workflow',
      payload: { workflow: 'ingestion', input: { documents: [{ name: 'lamp.md', content }] } },
    });
    expect(ingested.error).toBeUndefined();
    for (const each of [model, embedder, flaky]) each.times.length = 0;
    calls.clear();
  });

  afterEach(() => {
    for (const each of [model, flaky]) each.answer = () => {};
  });

  type Submission = Parameters<ReturnType<Orchestrator['tenant']>['tasks']['submit']>[0];
  async function run(submission: Submission): Promise<Task> {
    const { tasks } = orchestrator.tenant(tenant);
    return tasks.wait((await tasks.submit(submission)).task_id, { timeoutMs: 40_000 });
  }
  const chat = (more: Partial<Submission> = {}) =>
    run({ type: 'agent_execution', payload: { message: 'What does night mode do?' }, ...more });

  test('asks a model that always fails three times, in one attempt of the task', async () => {
    model.answer = fails(500);
    expect(await chat()).toMatchObject({
      status: 'failed',
      attempt: 1,
      error: {
        code: 'service_unavailable',
        message: expect.stringContaining('status 500'),
        retryable: false,
      },
    });
    expect(model.times).toHaveLength(3);
    expect(Object.fromEntries(calls)).toMatchObject({ agent_execution: 1, query: 1 });
  });

  test('asks a model that hangs three times', async () => {
    model.answer = () => {};
    expect((await chat()).error?.message).toContain('within 400 ms');
    expect(model.times).toHaveLength(3);
  });

  test('asks a model no earlier than its Retry-After in seconds', async () => {
    model.answer = until(
      3,
      fails(429, () => ({ 'retry-after': '1' })),
    );
    expect(await chat()).toMatchObject({ status: 'completed', attempt: 1 });
    const [first = 0, second = 0, third = 0] = model.times;
    expect(model.times).toHaveLength(3);
    expect(Math.min(second - first, third - second)).toBeGreaterThanOrEqual(1_000);
  });

  test('asks a model no earlier than its Retry-After as a date', async () => {
    let at = 0;
    let askedAt = 0;
    model.answer = (response, asked) => {
      askedAt = Date.now();
      if (asked > 1) return writes(response, asked);
      at = Math.ceil((Date.now() + 1_000) / 1_000) * 1_000;
      return fails(503, () => ({ 'retry-after': new Date(at).toUTCString() }))(response, asked);
    };
    expect((await chat()).status).toBe('completed');
    expect(askedAt).toBeGreaterThanOrEqual(at);
  });

  test('is answered by a model that works at the third request', async () => {
    model.answer = until(3, fails(500));
    expect(await chat()).toMatchObject({ status: 'completed', result: { content: 'At ten [1].' } });
    expect(model.times).toHaveLength(3);
  });

  test('asks a failing embedding model three times, and is answered by words', async () => {
    embedder.answer = fails(500);
    model.answer = writes;
    expect((await chat()).status).toBe('completed');
    expect([embedder.times.length, model.times.length]).toEqual([3, 1]);
  });

  test('whose service asks a failing one sends to it five times, and passes the failure on as final', async () => {
    flaky.answer = fails(503);
    const { status, body } = await askFlaky();
    expect([status, body['retryable'], typeof body['job_id']]).toEqual([503, false, 'string']);
    expect(flaky.times).toHaveLength(5);
  });

  test('tells the service that asks a longer Retry-After, and that the call may be tried again', async () => {
    flaky.answer = fails(429, () => ({ 'retry-after': '90' }));
    const { status, body, retryAfter } = await askFlaky();
    expect([status, body['code'], body['retryable'], retryAfter]).toEqual([429, 'rate_limited', true, '90']);
    expect(flaky.times).toHaveLength(1);
  });

  async function askFlaky() {
    const response = await fetch(`${server.url}/internal/v1/services/flaky/work`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${TOKEN}query`,
        'x-tenant-id': tenant,
        'content-type': 'application/json',
      },
      body: '{}',
    });
    const body = (await response.json()) as Record<string, unknown>;
    return { status: response.status, body, retryAfter: response.headers.get('retry-after') };
  }

  test('that does not reach Agent Execution is answered by an attempt after its return', async () => {
    model.answer = writes;
    const agents = running.get('agent_execution');
    await agents?.stop();
    const { tasks } = orchestrator.tenant(tenant);
    const { task_id } = await tasks.submit({
      type: 'agent_execution',
      payload: { message: 'What does night mode do?' },
    });
    await expect.poll(async () => (await tasks.get(task_id)).attempt, { timeout: 20_000 }).toBe(2);
    await start('agent_execution', Number(new URL(agents?.url ?? '').port));
    expect((await tasks.wait(task_id, { timeoutMs: 30_000 })).status).toBe('completed');
    expect(model.times).toHaveLength(1);
  });

  test('runs its agent three times while Query is down, and the model is not asked', async () => {
    const query = running.get('query');
    await query?.stop();
    const task = await chat();
    await start('query', Number(new URL(query?.url ?? '').port));
    expect(task).toMatchObject({ status: 'failed', attempt: 1, error: { code: 'service_unavailable' } });
    expect(Object.fromEntries(calls)).toMatchObject({ agent_execution: 3, query: 3 });
    expect(model.times).toHaveLength(0);
  });
});

import { type ChildProcess, fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { sharedRedis, watchStderr } from '@agent-orchestrator/test-servers';
import { afterEach, beforeEach, expect, it } from 'vitest';

interface SeenSpan {
  readonly name: string;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId?: string;
}

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const CALLER = 'b7ad6b7169203331';
const processes = new Set<ChildProcess>();
let spans: SeenSpan[] = [];
/** `traceparent` of each request to the service, by operation. */
let received: [operation: string, traceparent: string | undefined][] = [];
let held: ServerResponse[] = [];
let service: Server;
let settings: { readonly storage: string; readonly type: string; readonly service: string };

beforeEach(async () => {
  spans = [];
  received = [];
  held = [];
  service = createServer((request, response) => {
    const operation = request.url?.slice(1) ?? '';
    received.push([operation, request.headers['traceparent'] as string | undefined]);
    request.resume().on('end', () => {
      if (operation === 'second' && held.length === 0) held.push(response);
      else response.writeHead(200).end(JSON.stringify({ result: operation }));
    });
  });
  await new Promise<void>((resolve) => service.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(service.address() as AddressInfo).port}`;
  const { url: storage } = await sharedRedis();
  settings = { storage, type: `traced_${randomUUID().slice(0, 8)}`, service: url };
});

afterEach(async () => {
  await Promise.all([...processes].map(kill));
  service.closeAllConnections();
  await new Promise((resolve) => service.close(resolve));
});

/** A process with an SDK, registered as an operator does it; resolves with its URL. */
async function started(role: 'api' | 'worker', traced = true): Promise<{ node: ChildProcess; url: string }> {
  const register = new URL('traces/register.mjs', import.meta.url).href;
  const node = fork(new URL('traces/node.mjs', import.meta.url).pathname, {
    env: {
      ...process.env,
      TRACE_SETTINGS: JSON.stringify({ ...settings, role }),
      ...(traced && { NODE_OPTIONS: `--import ${register}` }),
    },
    stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
  });
  processes.add(node);
  watchStderr(node.stderr, `traces/node.mjs ${role}`);
  const url = await new Promise<string>((resolve) => {
    node.on('message', (message: { readonly ready?: string; readonly span?: SeenSpan }) => {
      if (message.span) spans.push(message.span);
      if (message.ready !== undefined) resolve(message.ready);
    });
  });
  return { node, url };
}

async function kill(node: ChildProcess): Promise<void> {
  processes.delete(node);
  if (node.exitCode !== null || node.signalCode !== null) return;
  const exited = once(node, 'exit');
  node.kill('SIGKILL');
  await exited;
}

async function submit(url: string): Promise<string> {
  const response = await fetch(`${url}/v1/tasks`, {
    method: 'POST',
    headers: {
      authorization: 'Bearer canary-key',
      'content-type': 'application/json',
      traceparent: `00-${TRACE}-${CALLER}-01`,
    },
    body: JSON.stringify({ type: settings.type, payload: { text: 'canary-payload' } }),
  });
  const { task_id } = (await response.json()) as { task_id: string };
  expect(response.status).toBe(202);
  return task_id;
}

async function statusOf(url: string, taskId: string): Promise<string> {
  const headers = { authorization: 'Bearer canary-key' };
  const response = await fetch(`${url}/v1/tasks/${taskId}`, { headers });
  return ((await response.json()) as { status: string }).status;
}

const named = (name: string) => spans.filter((span) => span.name === name);
const parentName = ({ parentId }: SeenSpan) => spans.find(({ spanId }) => spanId === parentId)?.name;
const WAIT = { timeout: 20_000, interval: 50 };

it('a traceparent goes from an HTTP client over Redis to a service, and a replay after a kill makes no span again', async () => {
  const api = await started('api');
  const first = await started('worker');
  const taskId = await submit(api.url);
  await expect.poll(() => held.length, WAIT).toBe(1);
  await kill(first.node);
  expect(named('call svc.second')).toEqual([]);
  await started('worker');
  await expect.poll(() => statusOf(api.url, taskId), WAIT).toBe('completed');
  const { type } = settings;
  await expect.poll(() => named(`process ${type}`).length, WAIT).toBe(1);

  const ours = spans.filter(({ attributes }) => attributes['http.route'] !== '/v1/tasks/{task_id}');
  expect(new Set(ours.map(({ traceId }) => traceId))).toEqual(new Set([TRACE]));
  expect(ours.map(({ name }) => name).toSorted()).toEqual(
    [
      'POST /v1/tasks',
      `submit ${type}`,
      `wait ${type}`,
      // The run that was killed has no end, so no span; the one after it replays the first two steps.
      `process ${type}`,
      'call svc.first',
      'POST',
      'run note',
      'call svc.second',
      'POST',
    ].toSorted(),
  );
  const [request] = named('POST /v1/tasks');
  const [run] = named(`process ${type}`);
  const [second] = named('call svc.second');
  expect(request?.parentId).toBe(CALLER);
  expect([run, second].map((span) => span && parentName(span))).toEqual([
    `submit ${type}`,
    `process ${type}`,
  ]);
  expect(run?.attributes['agent_orchestrator.task.resumed']).toBe(true);
  // Each request to the service has its own client span as its parent, in the trace of the client.
  expect(received.map(([operation]) => operation)).toEqual(['first', 'second', 'second']);
  const parents = received.map(([, traceparent = '']) => traceparent.split('-'));
  expect(new Set(parents.map(([, traceId]) => traceId))).toEqual(new Set([TRACE]));
  const clients = new Set(named('POST').map(({ spanId }) => spanId));
  expect([parents[0]?.[2], parents[2]?.[2]].every((id) => id !== undefined && clients.has(id))).toBe(true);
  expect(JSON.stringify(spans)).not.toContain('canary');
});

it('processes without an SDK make no spans, and services get a traceparent all the same', async () => {
  const api = await started('api', false);
  await started('worker', false);
  held.push({} as ServerResponse);
  const taskId = await submit(api.url);
  await expect.poll(() => statusOf(api.url, taskId), WAIT).toBe('completed');
  expect(spans).toEqual([]);
  for (const [, traceparent] of received) expect(traceparent).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
});

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { TaskNotifier, WebSocketTransport } from '@agent-orchestrator/notifier';
import { MARKS_REJECTIONS, RedisServer, watchStderr } from '@agent-orchestrator/test-servers';
import { describe, expect, it, onTestFinished } from 'vitest';
import { FollowingClient } from './following-client.js';

const KEY = 'key-of-acme';
const TOKEN = 'token-of-query';
const REPORTS = 40;
/** Number of reports before server 1 is killed. */
const REPORTS_BEFORE_KILL = 15;

interface Call {
  readonly call_id: string;
  readonly tenant_id: string;
  readonly task_id: string;
}

/** A service that accepts every call as `job-1` and exposes the call. */
async function startService(): Promise<{ readonly url: string; readonly called: Promise<Call> }> {
  let resolveCall: (call: Call) => void = () => undefined;
  const called = new Promise<Call>((resolve) => (resolveCall = resolve));
  const server: Server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      response.writeHead(202, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ job_id: 'job-1' }));
      resolveCall(JSON.parse(Buffer.concat(chunks).toString()) as Call);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, called };
}

interface NodeSettings {
  readonly redisUrl: string;
  readonly serviceUrl: string;
  readonly role: 'api' | 'worker';
}

async function startNode(settings: NodeSettings) {
  const child: ChildProcess = fork(new URL('programs/node.mjs', import.meta.url).pathname, {
    execArgv: [],
    env: {
      ...process.env,
      ...MARKS_REJECTIONS,
      NODE_SETTINGS: JSON.stringify({ ...settings, apiKey: KEY, token: TOKEN }),
    },
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  const refuseUnhandled = watchStderr(child.stderr, 'programs/node.mjs');
  onTestFinished(() => {
    child.kill('SIGKILL');
    refuseUnhandled();
  });
  const [url] = (await once(child, 'message', { signal: AbortSignal.timeout(100_000) })) as [string];
  return { child, url };
}

describe('two servers and a worker on one Redis', () => {
  it('deliver each event once, in order, to a client whose server is killed while the service reports to the other', async () => {
    await using redis = await RedisServer.start();
    const service = await startService();
    const settings = { redisUrl: redis.url, serviceUrl: service.url };
    const [first, second] = await Promise.all([
      startNode({ ...settings, role: 'api' }),
      startNode({ ...settings, role: 'api' }),
      startNode({ ...settings, role: 'worker' }),
    ]);
    const submitted = await fetch(`${first.url}/v1/tasks`, {
      method: 'POST',
      headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
      body: JSON.stringify({ type: 'long-question', payload: 'why' }),
    });
    expect(submitted.status).toBe(202);
    const { task_id } = (await submitted.json()) as { task_id: string };
    const client = new FollowingClient([first.url, second.url], KEY, task_id);
    onTestFinished(() => client.stop());
    client.start();

    const call = await service.called;
    const transport = new WebSocketTransport({ url: second.url, token: TOKEN });
    await using notifier = new TaskNotifier({ serviceName: 'query', transport });
    const about = { task_id: 'job-1', tenant_id: call.tenant_id, call_id: call.call_id };
    for (let n = 1; n <= REPORTS; n += 1) {
      await notifier.notifyTaskStatus({ ...about, status: `at ${n}`, details: { n } });
      if (n === REPORTS_BEFORE_KILL) {
        await client.until(() => client.reports.length === REPORTS_BEFORE_KILL);
        first.child.kill('SIGKILL');
      }
      await pause(5);
    }
    await notifier.notifyTaskCompletion({ ...about, result: { answer: 42 } });
    await client.until(() => client.names.includes('task_completed'));

    expect(client.connections).toEqual([first.url, second.url]);
    expect(client.gaps).toBe(0);
    expect(client.revs).toEqual(client.revs.map((_, index) => index + 1));
    expect(client.reports).toEqual(Array.from({ length: REPORTS }, (_, index) => index + 1));
    expect(client.names.filter((name) => name !== 'task_status_update')).toEqual([
      'task_created',
      'task_started',
      'task_completed',
    ]);
  });
});

import { spawn } from 'node:child_process';
import { on, once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { MARKS_REJECTIONS, watchStderr } from '@agent-orchestrator/test-servers';
import { expect, onTestFinished } from 'vitest';
import { WebSocket } from 'ws';

export const EXAMPLES = fileURLToPath(new URL('../../examples/embedding/', import.meta.url));
export const KEY = 'key-of-the-test';
const HEADERS = { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' };
const GREETED = { said: 'hello you' };

/** `fetch`, or a handler in its place. */
export type Send = (url: string | URL, init?: RequestInit) => Promise<Response>;

/** An example as a program of its own, on a free port. */
class ExampleHost {
  private constructor(
    /** The mount path included. */
    readonly url: string,
    readonly stop: () => Promise<number | null>,
  ) {}

  static async start(file: string): Promise<ExampleHost> {
    const child = spawn(process.execPath, [EXAMPLES + file], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...MARKS_REJECTIONS, API_KEY: KEY, PORT: '0' },
    });
    const refuseRejections = watchStderr(child.stderr, file);
    const exited = once(child, 'exit') as Promise<[number | null]>;
    onTestFinished(async () => {
      child.kill('SIGKILL');
      await exited;
    });
    for await (const line of createInterface(child.stdout)) {
      const url = /^listens at (http:\/\/127\.0\.0\.1:\d+\/orchestrator)$/.exec(line)?.[1];
      if (url === undefined) continue;
      return new ExampleHost(url, async () => {
        child.kill('SIGTERM');
        const [code] = await exited;
        refuseRejections();
        return code;
      });
    }
    throw new Error(`${file}: expected "listens at …", got the end of its output`);
  }
}

/** Submits a greeting under the mount path; the links of the answer have it too. */
export async function submit(
  url: string,
  send: Send = fetch,
  payload: object = { name: 'you' },
): Promise<{ task_id: string; links: { self: string; events: string } }> {
  const response = await send(`${url}/v1/tasks`, {
    method: 'POST',
    headers: HEADERS,
    body: JSON.stringify({ type: 'greet', payload }),
  });
  const text = await response.text();
  expect(response.status, text).toBe(202);
  return JSON.parse(text) as { task_id: string; links: { self: string; events: string } };
}

/** Events of a task over SSE, from before its approval to the end of the stream. */
export async function followOverSse(url: string, send: Send = fetch): Promise<readonly string[]> {
  const { task_id, links } = await submit(url, send, { name: 'you', approval: true });
  expect(links.events).toBe(`/orchestrator/v1/tasks/${task_id}/events`);
  const response = await send(new URL(links.events, url), { headers: HEADERS });
  expect(response.headers.get('content-type')).toContain('text/event-stream');
  const signal = new URL(`${links.self}/signals/approved`, url);
  expect((await send(signal, { method: 'POST', headers: HEADERS, body: '{}' })).status).toBe(202);
  const text = await response.text();
  const shown = await send(new URL(links.self, url), { headers: HEADERS });
  expect(await shown.json()).toMatchObject({ status: 'completed', result: GREETED });
  return [...text.matchAll(/^event: (\w+)$/gm)].map(([, name = '']) => name);
}

/** Events of a task over the client socket under the mount path, from before its submission. */
async function followOverSocket(url: string): Promise<readonly unknown[]> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/ws/client`, { headers: HEADERS });
  onTestFinished(() => socket.terminate());
  await once(socket, 'open');
  const frames: Record<string, unknown>[] = [];
  socket.send(JSON.stringify({ action: 'subscribe', id: 'a', topic: { tenant: true } }));
  let submitted: Promise<unknown> | undefined;
  for await (const [data] of on(socket, 'message') as AsyncIterable<[Buffer]>) {
    const frame = JSON.parse(data.toString()) as Record<string, unknown>;
    frames.push(frame);
    if (frame['event'] === 'subscribed') submitted = submit(url);
    if (frame['event'] === 'task_completed') break;
  }
  await submitted;
  socket.close();
  await once(socket, 'close');
  return frames.map(({ event, data }) => (event === 'task_completed' ? [event, data] : event));
}

/** What each example has to do, whatever its framework. */
export async function serves(file: string): Promise<void> {
  const host = await ExampleHost.start(file);
  const [first, ...events] = await followOverSse(host.url);
  expect([first, events.at(-1)]).toEqual(['snapshot', 'task_completed']);
  expect(await followOverSocket(host.url)).toEqual([
    ...['subscribed', 'task_created', 'task_started', 'task_status_update'],
    ['task_completed', GREETED],
  ]);
  for (const method of ['GET', 'POST']) {
    const refused = await fetch(`${host.url}/v1/tasks`, { method });
    expect(refused.status).toBe(401);
    expect(await refused.json()).toMatchObject({ code: 'unauthorized' });
  }
  const refused = new WebSocket(`${host.url.replace('http', 'ws')}/ws/client`, {
    headers: { authorization: 'Bearer another-key' },
  });
  const [code] = (await once(refused, 'close')) as [number];
  expect(code).toBe(4401);
  const own = await fetch(new URL('/', host.url));
  expect(await own.text()).toBe('the host\n');
  expect(await host.stop()).toBe(0);
}

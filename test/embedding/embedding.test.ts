import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type OrchestratorServer, ROUTES } from '@agent-orchestrator/ws-server';
import { EXAMPLES, followOverSse, KEY, type Send, serves } from './example-host.js';

const ROUTE = 'next/app/orchestrator/[...path]/route.js';

it('examples/embedding/node-http.mjs serves HTTP, SSE and sockets under its prefix, and stops', () =>
  serves('node-http.mjs'));

describe(`examples/embedding/${ROUTE}`, () => {
  type Handler = (request: Request) => Promise<Response>;
  let route: Readonly<Record<string, Handler>>;
  const send: Send = async (url, init) => {
    const request = new Request(url, init);
    const handler = route[request.method];
    if (!handler) throw new Error(`${request.method}: not exported`);
    return handler(request);
  };

  beforeAll(async () => {
    vi.stubEnv('API_KEY', KEY);
    route = (await import(EXAMPLES + ROUTE)) as typeof route;
  });
  afterAll(async () => {
    vi.unstubAllEnvs();
    const { server } = (await import(`${EXAMPLES}orchestrator.mjs`)) as { server: OrchestratorServer };
    await server.stop();
  });

  it('answers requests and streams events under its prefix', async () => {
    const url = 'http://host/orchestrator';
    const [first, ...rest] = await followOverSse(url, send);
    expect([first, rest.at(-1)]).toEqual(['snapshot', 'task_completed']);
    expect((await send(`${url}/v1/tasks`)).status).toBe(401);
    expect((await send(`${url}/v1/nothing`)).status).toBe(404);
  });

  it('exports the methods of all routes', () => {
    const methods = new Set(ROUTES.map(({ method }) => method));
    expect(Object.keys(route)).toEqual(expect.arrayContaining([...methods]));
  });
});

it('docs/embedding.md shows each example as it is', async () => {
  const document = await readFile(join(EXAMPLES, '../../docs/embedding.md'), 'utf8');
  const shown = [...document.matchAll(/^```js\n([\s\S]*?)^```/gm)].map(([, code = '']) => code);
  const files = await readdir(EXAMPLES, { recursive: true });
  const examples = files.filter((path) => /^(?!node_modules).*\.m?js$/.test(path));
  expect(examples.length).toBeGreaterThanOrEqual(6);
  for (const path of examples) {
    expect(document).toContain(`examples/embedding/${path}`);
    expect(shown).toContain(await readFile(join(EXAMPLES, path), 'utf8'));
  }
});

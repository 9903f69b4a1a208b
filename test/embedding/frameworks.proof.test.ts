import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { Orchestrator } from '@agent-orchestrator/core';
import { installLocked } from '@agent-orchestrator/test-servers';
import { createIdentities, OrchestratorServer, toNodeHandler } from '@agent-orchestrator/ws-server';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { EXAMPLES, KEY, serves, submit } from './example-host.js';

beforeAll(async () => {
  await installLocked(EXAMPLES);
}, 300_000);

it.each(['express.mjs', 'fastify.mjs', 'hono.mjs'])(
  'examples/embedding/%s serves HTTP, SSE and sockets under its prefix, and stops',
  (file) => serves(file),
);

/** The part of Express that the tests use: its types are not installed. */
interface ExpressApp extends RequestListener {
  use(...handlers: unknown[]): void;
}
interface Express {
  (): ExpressApp;
  Router(): ExpressApp;
  json(options?: object): unknown;
  text(options?: object): unknown;
  raw(options?: object): unknown;
  urlencoded(options?: object): unknown;
}

/** An Express application on a free port; `build` mounts the orchestrator. */
async function listenWith(build: (app: ExpressApp, express: Express, server: OrchestratorServer) => void) {
  const express = createRequire(EXAMPLES)('express') as Express;
  const orchestrator = new Orchestrator();
  orchestrator.workflow('greet', (_ctx, payload) => ({
    said: `hello ${(payload as { name: string }).name}`,
  }));
  const identities = createIdentities({ apiKeys: [{ key: KEY, tenant: 'acme' }] });
  const server = new OrchestratorServer(orchestrator, { identities });
  const app = express();
  build(app, express, server);
  await server.start();
  const host = createServer(app).listen(0, '127.0.0.1');
  await once(host, 'listening');
  onTestFinished(async () => {
    await server.stop({ graceMs: 1_000 });
    host.closeAllConnections();
    host.close();
  });
  return `http://127.0.0.1:${(host.address() as AddressInfo).port}`;
}

/** Stacks of middleware in which a request of the orchestrator's clients gets its usual answer. */
const STACKS: Readonly<
  Record<string, (app: ExpressApp, express: Express, mounted: unknown, server: OrchestratorServer) => void>
> = {
  'below a prefix, before body parsers': (app, express, mounted) => {
    app.use('/orchestrator', mounted);
    app.use(express.json());
  },
  'below a prefix, behind json()': (app, express, mounted) => {
    app.use(express.json());
    app.use('/orchestrator', mounted);
  },
  'below a prefix, behind every body parser': (app, express, mounted) => {
    app.use(express.urlencoded(), express.json(), express.text({ type: '*/*' }));
    app.use('/orchestrator', mounted);
  },
  'below a prefix, behind text()': (app, express, mounted) => {
    app.use(express.text({ type: '*/*' }));
    app.use('/orchestrator', mounted);
  },
  'below a prefix, behind raw()': (app, express, mounted) => {
    app.use(express.raw({ type: '*/*' }));
    app.use('/orchestrator', mounted);
  },
  'below a prefix that only the handler knows': (app, _express, _mounted, server) => {
    app.use(toNodeHandler(server, { prefix: '/orchestrator' }));
  },
  'in a router below another': (app, express, _mounted, server) => {
    const inner = express.Router();
    inner.use('/trator', toNodeHandler(server));
    const outer = express.Router();
    outer.use('/ches', inner);
    app.use('/or', outer);
  },
};

describe('an orchestrator in Express 5', () => {
  it.each(Object.keys(STACKS))('answers %s', async (name) => {
    const url = await listenWith((app, express, server) =>
      STACKS[name]?.(app, express, toNodeHandler(server), server),
    );
    const prefix = name.includes('router') ? '/or/ches/trator' : '/orchestrator';
    const { task_id, links } = await submit(url + prefix);
    expect(links.self).toBe(`${prefix}/v1/tasks/${task_id}`);
    const headers = { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' };
    const post = (body: string) => fetch(`${url}${prefix}/v1/tasks`, { method: 'POST', headers, body });
    expect((await post('{"type":"greet","payload":{"name":"'.padEnd(60_000, 'x') + '"}}')).status).toBe(202);
    expect((await post('{"type":')).status).toBe(400);
    const events = await fetch(url + links.events, { headers });
    expect(await events.text()).toContain('"said":"hello you"');
  });

  it('leaves paths without a route to the handlers after it', async () => {
    const url = await listenWith((app, _express, server) => {
      app.use('/orchestrator', toNodeHandler(server));
      app.use((_request: unknown, response: { end(text: string): void }) => response.end('the host'));
    });
    expect(await (await fetch(`${url}/orchestrator/elsewhere`)).text()).toBe('the host');
  });
});

import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setImmediate as nextTurn, setTimeout as delay } from 'node:timers/promises';
import {
  InProcessTransport,
  Orchestrator,
  OrchestratorError,
  type ServiceCall,
  TaskNotifier,
} from '@agent-orchestrator/core';
import type { NotifierTransport } from '@agent-orchestrator/core/notifier';
import {
  addLocalStack,
  type Gateway,
  serviceDefinitions,
  ServiceHost,
  startServiceProcess,
} from '@agent-orchestrator/local-stack';
import { HttpTransport, WebSocketTransport } from '@agent-orchestrator/notifier';
import { createIdentities, OrchestratorServer, toNodeHandler } from '@agent-orchestrator/ws-server';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { coins } from '../packages/core/test/coins.js';

const SEEDS = 50;
const CALLS = 8;
/** What it takes on a busy machine until the system has closed a socket; a leak never reaches it. */
const SETTLED_MS = 20_000;
const TOKEN = 'token-of-query';
const TOOLS_TOKEN = 'token-of-tool-registry';
const KEY = 'key-of-acme';

/** Something that starts and stops, as its users see it. */
interface Part extends AsyncDisposable {
  start(): unknown;
  stop(): unknown;
  /** Does what it is for: it runs. */
  use(): Promise<unknown>;
}

const identities = createIdentities({
  apiKeys: [{ key: KEY, tenant: 'acme' }],
  serviceTokens: [
    { service: 'query', token: TOKEN },
    { service: 'tool_registry', token: TOOLS_TOKEN },
  ],
});

function newOrchestrator(): Orchestrator {
  return new Orchestrator().workflow('echo', (_ctx, input) => Promise.resolve(input));
}

async function runsTask(orchestrator: Orchestrator): Promise<void> {
  const task = await orchestrator.tenant('acme').tasks.submit({ type: 'echo', payload: { n: 1 } });
  expect(await task.result()).toEqual({ n: 1 });
}

/** The hub of the notifiers, for all tests. */
let hub: OrchestratorServer;
/** The same in a host that keeps no idle connection, so that one of a client is a leak of the client. */
let hastyHub: Server;
let hastyUrl: string;
const hubOrchestrator = newOrchestrator();

function notifier(transport: NotifierTransport): Part {
  const made = new TaskNotifier({ serviceName: 'query', transport });
  return {
    start: () => made.ready(),
    stop: () => made.close(),
    use: async () => {
      const about = { task_id: randomUUID(), tenant_id: 'acme' };
      expect(await made.notifyTaskStatus({ ...about, status: 'working' })).toMatchObject({
        outcome: 'unknown_task',
      });
    },
    [Symbol.asyncDispose]: () => made[Symbol.asyncDispose](),
  };
}

function call(operation: string, input: ServiceCall['input']): ServiceCall {
  const ids = { call_id: randomUUID(), task_id: randomUUID(), tenant_id: 'acme', session_id: undefined };
  return { ...ids, operation, input, attempt: 1, metadata: {} };
}

const SIGNAL = { signal: new AbortController().signal };
const noGateway: Gateway = { call: () => Promise.reject(new Error('not called')) };
const toolRegistry = serviceDefinitions().find(({ name }) => name === 'tool_registry')!;
const calculation = () => call('execute_tool', { name: 'calculator', arguments: { expression: '6 * 7' } });

function serviceHost(): Part {
  const own = new TaskNotifier({
    serviceName: 'tool_registry',
    transport: new InProcessTransport(hubOrchestrator.hub('tool_registry')),
  });
  const host = new ServiceHost({ definition: toolRegistry, gateway: noGateway, notifier: own });
  const stop = async () => {
    await host.stop();
  };
  return {
    start: () => host.start(),
    stop,
    use: () => host.run(calculation(), SIGNAL),
    [Symbol.asyncDispose]: async () => {
      await host[Symbol.asyncDispose]();
      await own.close();
    },
  };
}

/** A service host behind HTTP: made by its start. */
function serviceProcess(): Part {
  let started: ReturnType<typeof startServiceProcess> | undefined;
  const start = () =>
    (started ??= startServiceProcess({
      definition: toolRegistry,
      orchestratorUrl: hub.url,
      token: TOOLS_TOKEN,
    }));
  const stop = async () => (await started)?.stop({ drainMs: 0 });
  return {
    start,
    stop,
    use: async () => {
      const { url } = await start();
      const body = JSON.stringify(calculation());
      const headers = { authorization: `Bearer ${TOOLS_TOKEN}`, connection: 'close' };
      const response = await fetch(`${url}/execute_tool`, { method: 'POST', headers, body });
      expect(await response.json()).toMatchObject({ result: { output: { value: 42 } } });
    },
    [Symbol.asyncDispose]: async () => (await started)?.[Symbol.asyncDispose](),
  };
}

/** The services of the local stack in an orchestrator: made by their start. */
function localStack(): Part {
  const orchestrator = newOrchestrator();
  let stack: ReturnType<typeof addLocalStack> | undefined;
  const stop = async (ends: () => Promise<void> | undefined) => {
    await ends();
    await orchestrator.stop();
  };
  return {
    start: async () => {
      stack ??= addLocalStack(orchestrator);
      await orchestrator.start();
    },
    stop: () => stop(() => stack?.stop()),
    use: async () => {
      const { tool_registry: tools } = stack?.services ?? {};
      await tools?.run(calculation(), SIGNAL);
    },
    [Symbol.asyncDispose]: () => stop(async () => stack?.[Symbol.asyncDispose]()),
  };
}

async function isLive(url: string): Promise<void> {
  const response = await fetch(`${url}/health/live`, { headers: { connection: 'close' } });
  await response.text();
  if (response.status === 503) throw new OrchestratorError('not_running', 'the server stops');
  expect(response.status).toBe(200);
}

function listeningServer(): Part {
  const server = new OrchestratorServer(newOrchestrator(), { identities });
  return {
    start: () => server.listen(0),
    stop: () => server.stop({ graceMs: 5_000 }),
    use: () => isLive(server.url),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

function attachedServer(): Part {
  const orchestrator = newOrchestrator();
  const server = new OrchestratorServer(orchestrator, { identities });
  const host = createServer();
  const listeners = host.listenerCount('upgrade');
  const stop = async (ends: () => Promise<void>) => {
    await ends();
    expect(host.listenerCount('upgrade')).toBe(listeners);
  };
  return {
    start: () => {
      server.attach(host, { prefix: '/orchestrator' });
      return server.start();
    },
    stop: () => stop(() => server.stop()),
    use: () => runsTask(orchestrator),
    [Symbol.asyncDispose]: () => stop(() => server[Symbol.asyncDispose]()),
  };
}

function orchestrator(): Part {
  const made = newOrchestrator();
  return {
    start: () => made.start(),
    stop: () => made.stop(),
    use: () => runsTask(made),
    [Symbol.asyncDispose]: () => made[Symbol.asyncDispose](),
  };
}

interface PartCase {
  readonly make: () => Part;
  /** Whether a start after a stop works, or is refused; absent where each start makes a new one. */
  readonly restarts?: boolean;
}

const PARTS: Readonly<Record<string, PartCase>> = {
  Orchestrator: { make: orchestrator, restarts: false },
  'OrchestratorServer with a port': { make: listeningServer, restarts: false },
  'OrchestratorServer attached to a host': { make: attachedServer, restarts: false },
  'TaskNotifier over WebSocket': {
    make: () => notifier(new WebSocketTransport({ url: hub.url, token: TOKEN })),
    restarts: false,
  },
  'TaskNotifier over HTTP': {
    make: () => notifier(new HttpTransport({ url: hastyUrl, token: TOKEN })),
    restarts: false,
  },
  'TaskNotifier in process': {
    make: () => notifier(new InProcessTransport(hubOrchestrator.hub('query'))),
    restarts: false,
  },
  'ServiceHost of the local stack': { make: serviceHost, restarts: true },
  'service process of the local stack': { make: serviceProcess },
  'local stack in an orchestrator': { make: localStack, restarts: false },
};

/** What keeps the event loop alive, by kind. */
function openResources(): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const kind of process.getActiveResourcesInfo()) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return counts;
}

/** Resolves when nothing is open that was not open before. @throws {Error} with what stays open. */
async function nothingNew(before: ReadonlyMap<string, number>, context = ''): Promise<void> {
  const deadline = performance.now() + SETTLED_MS;
  for (;;) {
    const more = [...openResources()].filter(([kind, count]) => count > (before.get(kind) ?? 0));
    if (more.length === 0) return;
    if (performance.now() > deadline) {
      throw new Error(
        `${context} expected nothing left open, got ${JSON.stringify(Object.fromEntries(more))}`,
      );
    }
    await delay(5);
  }
}

/** Refusals of a part that has stopped, or stops; of a connection to it, too. */
function isRefusal(error: unknown): boolean {
  if (error instanceof OrchestratorError) return ['not_running', 'storage_unavailable'].includes(error.code);
  return error instanceof TypeError && ['fetch failed', 'terminated'].includes(error.message);
}

/** What a method throws or rejects with; `undefined` if it does neither. */
async function errorOf(method: () => unknown): Promise<unknown> {
  try {
    await method();
    return undefined;
  } catch (error) {
    return error;
  }
}

const rejections: unknown[] = [];
const warnings: Error[] = [];
const onRejection = (reason: unknown) => rejections.push(reason);
const onWarning = (warning: Error) => warnings.push(warning);

beforeAll(async () => {
  hub = await new OrchestratorServer(hubOrchestrator, { identities }).listen(0);
  hastyHub = createServer({ keepAliveTimeout: 1 }, (request, response) => void toHub(request, response));
  const toHub = toNodeHandler(hub);
  await once(hastyHub.listen(0, '127.0.0.1'), 'listening');
  hastyUrl = `http://127.0.0.1:${(hastyHub.address() as AddressInfo).port}`;
  process.on('unhandledRejection', onRejection);
  process.on('warning', onWarning);
});
afterAll(async () => {
  process.off('unhandledRejection', onRejection);
  process.off('warning', onWarning);
  await hub.stop();
  hastyHub.close();
});
beforeEach(() => {
  rejections.length = 0;
  warnings.length = 0;
  return async () => {
    await nextTurn();
    expect({ rejections, warnings }).toEqual({ rejections: [], warnings: [] });
  };
});

describe.each(Object.entries(PARTS))('%s', (_, { make, restarts }) => {
  it('starts twice and at the same time, runs, and stops twice and at the same time', async () => {
    const before = openResources();
    const part = make();
    await Promise.all([part.start(), part.start()]);
    await part.start();
    await part.use();
    await Promise.all([part.stop(), part.stop()]);
    await part.stop();
    await part[Symbol.asyncDispose]();
    await nothingNew(before);
  });

  it('stops before a start, and during it', async () => {
    const before = openResources();
    const early = make();
    await Promise.all([early.stop(), early.stop()]);
    const part = make();
    const [error] = await Promise.all([errorOf(() => part.start()), part.stop()]);
    if (!isRefusal(error)) expect(error).toBeUndefined();
    await Promise.all([part.stop(), early.stop()]);
    await Promise.all([part[Symbol.asyncDispose](), early[Symbol.asyncDispose]()]);
    await nothingNew(before);
  });

  if (restarts === true) {
    it('runs again after a stop', async () => {
      await using part = make();
      await part.start();
      await part.stop();
      await part.start();
      await part.use();
    });
  }

  if (restarts === false) {
    it('refuses a start after its stop', async () => {
      await using part = make();
      await part.start();
      await part.stop();
      expect(await errorOf(() => part.start())).toMatchObject({ code: 'not_running' });
    });
  }

  it('stops at the end of its block', async () => {
    const before = openResources();
    {
      await using part = make();
      await part.start();
      await part.use();
    }
    await nothingNew(before);
  });

  it(`leaves nothing open after ${CALLS} calls in any order, ${SEEDS} times`, async () => {
    for (let seed = 0; seed < SEEDS; seed += 1) {
      const before = openResources();
      const part = make();
      const coin = coins(seed);
      const calls: Promise<unknown>[] = [];
      for (let each = 0; each < CALLS; each += 1) {
        const drawn = coin();
        if (drawn < 0.4) calls.push(errorOf(() => part.start()));
        else if (drawn < 0.6) calls.push(errorOf(() => part.use()));
        else if (drawn < 0.9) calls.push(errorOf(() => part.stop()));
        else calls.push(errorOf(() => part[Symbol.asyncDispose]()));
        for (let turns = Math.floor(coin() * 4); turns > 0; turns -= 1) await nextTurn();
      }
      calls.push(errorOf(() => part.stop()));
      const errors = await Promise.all(calls);
      expect(
        errors.filter((error) => error !== undefined && !isRefusal(error)),
        `seed ${seed}`,
      ).toEqual([]);
      await part.stop();
      await part[Symbol.asyncDispose]();
      await nothingNew(before, `seed ${seed}:`);
    }
  });
});

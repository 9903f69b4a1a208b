import { MemoryStorage, Orchestrator, type Storage, type Task } from '@agent-orchestrator/core';
import { createIdentities, OrchestratorServer } from '@agent-orchestrator/ws-server';
import { RedisStorage } from '@agent-orchestrator/redis-adapter';
import { RedisServer } from '@agent-orchestrator/test-servers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { OpenStorage } from '../src/commands/command-context.js';
import { runCommandLine } from '../src/main.js';
import { records } from './cli-process.js';
import { fakeTerminal } from './fake-terminal.js';

const NOWHERE = '11111111-1111-4111-8111-111111111111';

/** What an orchestrator works on, and how an operator gets at it. */
interface World {
  readonly storage: Storage;
  readonly flags: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Absent: as the command does it itself. */
  readonly openStorage?: OpenStorage;
  /** Called with the orchestrator before it starts; flags that lead to it. */
  readonly serve?: (orchestrator: Orchestrator) => Promise<readonly string[]>;
  readonly close: () => Promise<void>;
}

/** A storage in this process, which each command closes for itself alone. */
function memoryWorld(): World {
  const memory = new MemoryStorage();
  let open = 0;
  const openStorage = async (): Promise<Storage> => {
    open += 1;
    const { tasks, queue, journal, sessions, events, tenants, tickets, rates } = memory;
    const { usage, cache, workers, wakeups } = memory;
    return {
      ...{ tasks, queue, journal, sessions, events, tenants, tickets, rates, usage, cache, workers, wakeups },
      ping: () => memory.ping(),
      systemEvents: memory.systemEvents,
      close: async () => {
        open -= 1;
      },
    };
  };
  return {
    storage: memory,
    flags: ['--redis', 'redis://127.0.0.1:1'],
    openStorage,
    close: async () => {
      await memory.close();
      expect(open).toBe(0);
    },
  };
}

async function redisWorld(): Promise<World> {
  const server = await RedisServer.start();
  const storage = RedisStorage.connect(server.url);
  return {
    storage,
    flags: ['--redis', server.url],
    close: async () => {
      await storage.close();
      await server.stop();
    },
  };
}

const OPERATOR_TOKEN = 'token-of-the-operator';

/** A server on a storage that it has to itself. */
async function serverWorld(): Promise<World> {
  const storage = new MemoryStorage();
  const identities = createIdentities({ operatorToken: OPERATOR_TOKEN });
  let server: OrchestratorServer | undefined;
  return {
    storage,
    flags: [],
    env: { ORCHESTRATOR_OPERATOR_TOKEN: OPERATOR_TOKEN },
    async serve(served) {
      server = await new OrchestratorServer(served, { identities }).listen(0);
      return ['--url', server.url];
    },
    async close() {
      await server?.stop();
      await storage.close();
    },
  };
}

let world: World;
let FLAGS: readonly string[];
let orchestrator: Orchestrator;
/** Of tenant acme, which is paused, by their priority; and the one that has failed, of tenant beta. */
let waiting: Record<string, Task>;
let failed: Task;
let completed: Task;

async function run(args: readonly string[], signal = new AbortController().signal) {
  const { openStorage, env = {} } = world;
  const { terminal, stdout, stderr } = fakeTerminal({ cwd: '/', env });
  const code = await runCommandLine(args, terminal, signal, { ...(openStorage && { openStorage }) });
  return { code, stdout: stdout(), stderr: stderr() };
}

/** Two tenants: acme with work that waits, and beta with work that has ended. */
async function begin(): Promise<void> {
  const { storage } = world;
  orchestrator = new Orchestrator({ storage });
  orchestrator.workflow('ok', () => 'done');
  orchestrator.workflow('bad', () => {
    throw new Error('this one\nis bad', { cause: new Error('the \u001B[31mdisk is full') });
  });
  if (world.serve) FLAGS = await world.serve(orchestrator);
  await orchestrator.start();
  await storage.tenants.configure({ tenantId: 'acme', paused: true });
  const { tasks, sessions } = orchestrator.tenant('acme');
  await sessions.create({ session_id: 'talk', context: { topic: 'widgets' } });
  await sessions.append('talk', { role: 'user', content: 'hello' });
  waiting = {
    low: (await tasks.submit({ type: 'ok', priority: 1 })).task,
    high: (await tasks.submit({ type: 'ok', priority: 9 })).task,
    normal: (await tasks.submit({ type: 'ok', session_id: 'talk' })).task,
    behind: (await tasks.submit({ type: 'ok', session_id: 'talk', priority: 8 })).task,
  };
  const beta = orchestrator.tenant('beta').tasks;
  failed = await beta.wait((await beta.submit({ type: 'bad', max_attempts: 1 })).task_id);
  completed = await beta.wait((await beta.submit({ type: 'ok' })).task_id);
}

async function end(): Promise<void> {
  await orchestrator.stop();
  await world.close();
}

const WORLDS: [string, () => World | Promise<World>][] = [
  ['in memory', memoryWorld],
  ['on Redis', redisWorld],
  ['through a server', serverWorld],
];

describe.each(WORLDS)('operator commands %s', (_, open) => {
  beforeAll(async () => {
    world = await open();
    FLAGS = world.flags;
    await begin();
  });
  afterAll(end);

  describe('orchestrator-cli queues', () => {
    it('list prints the load of every tenant', async () => {
      const { code, stdout, stderr } = await run(['queues', 'list', ...FLAGS]);
      expect([code, stderr]).toEqual([0, '']);
      const [head, acme, beta] = stdout.split('\n');
      expect(head?.split(/ {2,}/)).toEqual([
        ...['tenant', 'ready', 'running', 'pending', 'oldest since', 'weight', 'limit'],
      ]);
      expect(acme).toMatch(/^acme +3 +0 +4 +\d{4}-\d\d-\d\d [\d:]{8} +1 +none +paused$/);
      expect(beta).toMatch(/^beta +0 +0 +0 +1 +none$/);
    });

    it('list prints all pages', async () => {
      const first = await run(['queues', 'list', '--limit', '1', ...FLAGS]);
      expect(first.stdout).toMatch(/^acme /m);
      expect(first.stderr).toBe('more: --cursor acme\n');
      const second = await run(['queues', 'list', '--cursor', 'acme', '--json', ...FLAGS]);
      expect(records(second.stdout)).toEqual([
        {
          tenant_id: 'beta',
          ready: 0,
          running: 0,
          counts: { pending: 0, processing: 0, completed: 1, failed: 1, cancelled: 0 },
          weight: 1,
          max_running: null,
          max_waiting: null,
          max_stored_bytes: null,
          retention_ms: null,
          types: null,
          services: null,
          budgets: null,
          rates: {
            requests_per_minute: null,
            burst: null,
            calls_per_minute: null,
            tokens_per_minute: null,
          },
          paused: false,
        },
      ]);
    });

    it('inspect prints the next tasks in order, each with the reason it waits', async () => {
      const { code, stdout } = await run(['queues', 'inspect', 'acme', ...FLAGS]);
      expect(code).toBe(0);
      const [stats, , ...rows] = stdout.trim().split('\n');
      expect(stats).toBe('tenant acme: paused, weight 1, no limit; ready 3, running 0');
      const { high, normal, low, behind } = waiting;
      expect(rows.map((row) => row.split(/ {2,}/).slice(0, 5))).toEqual([
        ['0', high?.task_id, 'ok', '9', 'ready'],
        ['1', normal?.task_id, 'ok', '4', 'ready'],
        ['2', low?.task_id, 'ok', '1', 'ready'],
        ['-', behind?.task_id, 'ok', '8', 'waiting'],
      ]);
      expect(rows[0]).toContain('tenant "acme" is paused');
      expect(rows[3]).toContain(`session talk is busy with task ${normal?.task_id}`);
      const two = await run(['queues', 'inspect', 'acme', '-n', '2', '--json', ...FLAGS]);
      expect(records(two.stdout)).toMatchObject([
        {
          tenant_id: 'acme',
          paused: true,
          first_in_queue: [{ position: 0 }, { position: 1 }],
          partial: false,
        },
      ]);
      const unknown = await run(['queues', 'inspect', 'ghost', ...FLAGS]);
      expect(unknown.stdout).toBe('tenant ghost: weight 1, no limit; ready 0, running 0\n');
      expect(unknown.stderr).toBe('nothing is pending\n');
    });
  });

  describe('orchestrator-cli tasks why', () => {
    const ACME = () => [...FLAGS, '--tenant', 'acme'];
    const BETA = () => [...FLAGS, '--tenant', 'beta'];

    it('why prints the reason a task waits', async () => {
      const id = waiting['normal']?.task_id ?? '';
      const { code, stdout } = await run(['tasks', 'why', id, ...ACME()]);
      expect(code).toBe(0);
      expect(stdout).toMatch(
        new RegExp(
          `^task ${id}: ok, priority 4, attempt \\d of \\d\nready since .*:\\d\\d: tenant "acme" is paused\ntasks of this tenant before it: 1\n$`,
        ),
      );
      const json = await run(['tasks', 'why', id, '--json', ...ACME()]);
      expect(records(json.stdout)).toMatchObject([{ state: 'ready', position: 1, task: { task_id: id } }]);
    });

    it('why prints the error of a failed task, with one line per cause and the stack', async () => {
      const { code, stdout, stderr } = await run(['tasks', 'why', failed.task_id, ...BETA()]);
      expect([code, stderr]).toEqual([0, '']);
      const [, state, thrown, cause, ...stack] = stdout.split('\n');
      expect(state).toMatch(/^failed since .*:\d\d: workflow_error: unexpected error in workflow "bad"/);
      expect([thrown, cause]).toEqual(['thrown: this one is bad', 'caused by: the [31mdisk is full']);
      expect(stack.slice(0, 3)).toEqual([
        'Error: this one',
        'is bad',
        expect.stringMatching(/^ {4}at .*operators\.test\.ts:\d+:\d+/),
      ]);
      const json = await run(['tasks', 'why', failed.task_id, '--json', ...BETA()]);
      const explanation = await orchestrator.registry.explain({ tenantId: 'beta', taskId: failed.task_id });
      expect(records(json.stdout)).toEqual([explanation]);
      expect(explanation.diagnostic).toMatchObject({
        message: 'this one\nis bad',
        causes: ['the \u001B[31mdisk is full'],
        stack: expect.stringContaining('operators.test.ts'),
      });
    });

    it('exits with 3 for a task that does not exist, or belongs to another tenant', async () => {
      for (const id of [NOWHERE, waiting['low']?.task_id ?? '']) {
        const { code, stdout, stderr } = await run(['tasks', 'why', id, ...BETA()]);
        expect([code, stdout, stderr]).toEqual([3, '', `error: no task "${id}"\n`]);
      }
    });
  });

  describe('orchestrator-cli tenants', () => {
    it('pause, resume and set take effect and print the result', async () => {
      const typo = await run(['tenants', 'pause', 'gamma', ...FLAGS]);
      expect([typo.code, typo.stdout]).toEqual([3, '']);
      expect(typo.stderr).toContain('there is no tenant "gamma"');
      const steps: [string[], string][] = [
        [['pause', 'gamma', '--create'], 'tenant gamma: paused, weight 1, no limit; ready 0, running 0\n'],
        [
          ['set', 'gamma', '--weight', '7', '--max-running', '3'],
          'tenant gamma: paused, weight 7, at most 3 running; ready 0, running 0\n',
        ],
        [['resume', 'gamma'], 'tenant gamma: weight 7, at most 3 running; ready 0, running 0\n'],
        [['set', 'gamma', '--max-running', 'none'], 'tenant gamma: weight 7, no limit; ready 0, running 0\n'],
      ];
      for (const [args, said] of steps) {
        expect(await run(['tenants', ...args, ...FLAGS])).toEqual({ code: 0, stdout: said, stderr: '' });
      }
      const { stdout } = await run(['tenants', 'list', ...FLAGS]);
      expect(stdout).toMatch(/^beta +1 +none +0 +0 +1 +1 +0$/m);
      expect(stdout).toMatch(/^gamma +7 +none +0 +0 +0 +0 +0$/m);
      const json = await run(['tenants', 'pause', 'gamma', '--json', ...FLAGS]);
      expect(records(json.stdout)).toMatchObject([{ tenant_id: 'gamma', weight: 7, paused: true }]);
    });

    it.each<[string[], string]>([
      [
        ['set', 'gamma'],
        'expected one of --weight, --max-running, --max-waiting, --max-stored, --retention, --types, --services, --requests-per-minute, --burst, --calls-per-minute, --tokens-per-minute or --budget, got none',
      ],
      [['set', 'gamma', '--burst', '0'], '--burst: expected a whole number from 1 to 10000000, got "0"'],
      [['set', 'gamma', '--weight', '0'], '--weight: expected a whole number from 1 to 100, got "0"'],
      [
        ['set', 'gamma', '--max-running', 'many'],
        '--max-running: expected a whole number from 1 to 1000000, got "many"',
      ],
      [['list', '--limit', '501'], '--limit: expected a whole number from 1 to 500, got "501"'],
    ])('%j exits with 2', async (args, message) => {
      const { code, stdout, stderr } = await run(['tenants', ...args, ...FLAGS]);
      expect([code, stdout, stderr]).toEqual([2, '', `error: ${message}\n`]);
    });

    it('an invalid tenant id exits with 2', async () => {
      const { code, stderr } = await run(['tenants', 'pause', 'a b', ...FLAGS]);
      expect(code).toBe(2);
      expect(stderr).toMatch(/^error: tenant: expected 1 to 64 letters/);
    });
  });

  it('cache invalidate removes cached values of a tenant and prints their number', async () => {
    const cached = new Orchestrator({ storage: world.storage }).cache;
    for (const [key, collection] of [
      [1, 'docs'],
      [2, 'docs'],
      [3, undefined],
    ] as const)
      await cached.getWithCacheAside({ tenant: 'acme', kind: 'k', key, collection }, () => ({ value: key }));
    const invalidate = (...more: string[]) =>
      run(['cache', 'invalidate', ...FLAGS, '--tenant', 'acme', ...more]);
    expect((await invalidate('--collection', 'docs')).stdout).toBe('2 cached values removed\n');
    expect(records((await invalidate('--json')).stdout)).toEqual([{ tenant_id: 'acme', removed: 1 }]);
    const { code, stderr } = await invalidate('--collection', '');
    expect([code, stderr]).toMatchObject([2, expect.stringContaining('--collection')]);
  });

  describe('orchestrator-cli dlq', () => {
    const BETA = () => [...FLAGS, '--tenant', 'beta'];

    it('list and show print failed tasks only', async () => {
      const { stdout } = await run(['dlq', 'list', ...BETA()]);
      expect(stdout).toMatch(
        new RegExp(
          `^task .*\n${failed.task_id} +bad +1 +.*:\\d\\d +workflow_error +unexpected error in workflow "bad"`,
        ),
      );
      expect(records((await run(['dlq', 'list', '--json', ...BETA()])).stdout)).toEqual([failed]);
      expect(records((await run(['dlq', 'show', failed.task_id, '--json', ...BETA()])).stdout)).toEqual([
        failed,
      ]);
      expect(await run(['dlq', 'show', completed.task_id, ...BETA()])).toMatchObject({
        code: 3,
        stderr: `error: task ${completed.task_id} is not a dead letter: its status is completed\n`,
      });
      expect((await run(['dlq', 'list', ...FLAGS, '--tenant', 'acme'])).stderr).toBe('no dead letters\n');
    });

    it('redrive creates a new task, and the same one when repeated', async () => {
      const first = await run(['dlq', 'redrive', failed.task_id, ...BETA()]);
      expect(first.code).toBe(0);
      const id = first.stdout.trim();
      expect(id).not.toBe(failed.task_id);
      const again = await run(['dlq', 'redrive', failed.task_id, '--json', ...BETA()]);
      expect(records(again.stdout)).toMatchObject([{ task_id: id, redriven_from: failed.task_id }]);
      const { code, stderr } = await run(['dlq', 'redrive', completed.task_id, ...BETA()]);
      expect([code, stderr]).toEqual([
        1,
        `error: task ${completed.task_id}: expected status failed, got completed\n`,
      ]);
      expect((await run(['dlq', 'redrive', NOWHERE, ...BETA()])).code).toBe(3);
    });

    it('redrive --all runs all of a type again, once they are counted', async () => {
      orchestrator.workflow('sad', () => Promise.reject(new Error('sad')));
      const epsilon = orchestrator.tenant('epsilon').tasks;
      const ids = await Promise.all(
        ['sad', 'sad', 'bad'].map(async (type) => (await epsilon.submit({ type, max_attempts: 1 })).task_id),
      );
      for (const id of ids) await epsilon.wait(id);
      const all = ['dlq', 'redrive', '--all', ...FLAGS, '--tenant', 'epsilon'];
      expect(await run([...all, '--type', 'sad', '--dry-run'])).toMatchObject({
        code: 0,
        stdout: '2 would run again\n',
      });
      const listed = await run(['dlq', 'list', '--type', 'sad', '--json', ...FLAGS, '--tenant', 'epsilon']);
      expect(records(listed.stdout).map(({ type }) => type)).toEqual(['sad', 'sad']);
      expect((await run([...all, '--type', 'sad'])).stdout).toBe('2 of 2 run again\n');
      const [report] = records((await run([...all, '--type', 'bad', '--json'])).stdout);
      expect(report).toEqual({ matched: 1, done: 1 });
      for (const wrong of [
        ['dlq', 'redrive'],
        ['dlq', 'redrive', failed.task_id, '--all'],
        ['dlq', 'redrive', failed.task_id, '--dry-run'],
      ])
        expect((await run([...wrong, ...BETA()])).code, wrong.join(' ')).toBe(2);
    });
  });

  it('orchestrator-cli workers list prints live workers with what they run', async () => {
    const { code, stdout } = await run(['workers', 'list', ...FLAGS]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^worker .*\n\S+ +\d{4}-.*, ok, bad/);
    const [worker] = records((await run(['workers', 'list', '--json', ...FLAGS])).stdout);
    expect(worker).toMatchObject({ runs: expect.arrayContaining([expect.objectContaining({ type: 'ok' })]) });
  });

  describe('orchestrator-cli tail --system', () => {
    it('prints recent system events, then new ones, until Ctrl-C', async () => {
      const { terminal, stdout, printed } = fakeTerminal({ cwd: '/', env: world.env ?? {} });
      const over = new AbortController();
      const { openStorage } = world;
      const args = ['tail', '--system', '--json', ...FLAGS];
      const running = runCommandLine(args, terminal, over.signal, { ...(openStorage && { openStorage }) });
      await printed(new RegExp(`"dead_letter".*${failed.task_id}`));
      const text = 'circuit breaker \u001B[31mopened';
      world.storage.systemEvents.publish({ kind: 'breaker_opened', text, fields: { service: 'query' } });
      await printed(/breaker_opened/);
      over.abort();
      expect(await running).toBe(130);
      expect(records(stdout())).toEqual(
        expect.arrayContaining([
          {
            at: expect.stringMatching(/^\d{4}-.*Z$/),
            kind: 'dead_letter',
            text: `task ${failed.task_id} has failed`,
            tenant: 'beta',
            task: failed.task_id,
          },
          { at: expect.any(String), kind: 'breaker_opened', text, service: 'query' },
        ]),
      );
      const people = fakeTerminal({ cwd: '/', env: world.env ?? {} });
      const ctrlC = new AbortController();
      const ports = { ...(openStorage && { openStorage }) };
      const ended = runCommandLine(['tail', '--system', ...FLAGS], people.terminal, ctrlC.signal, ports);
      await people.printed(/breaker_opened/);
      ctrlC.abort();
      expect(await ended).toBe(130);
      expect(people.stdout()).toMatch(/^\d{4}-[\d-]+ [\d:]{8} breaker_opened circuit breaker \[31mopened$/m);
      expect(people.stderr()).toBe('following system events, Ctrl-C ends\n');
    });

    it('is the only form of tail', async () => {
      expect(await run(['tail', ...FLAGS])).toMatchObject({
        code: 2,
        stderr: 'error: expected --system; "orchestrator-cli tasks tail" follows tasks\n',
      });
    });
  });
});

describe.each(WORLDS.slice(0, 2))('straight from the storage %s', (_, open) => {
  beforeAll(async () => {
    world = await open();
    FLAGS = world.flags;
    await begin();
  });
  afterAll(end);

  describe('orchestrator-cli tasks', () => {
    const ACME = () => [...FLAGS, '--tenant', 'acme'];
    const BETA = () => [...FLAGS, '--tenant', 'beta'];

    it('list and show print the same as over HTTP', async () => {
      const all = await run(['tasks', 'list', '--json', ...BETA()]);
      expect(records(all.stdout)).toEqual([completed, failed]);
      const some = await run(['tasks', 'list', '--status', 'failed', ...BETA()]);
      expect(some.stdout).toMatch(
        new RegExp(`^task +status +type +created\n${failed.task_id}  failed  bad  .*:\\d\\d  `),
      );
      const page = await run(['tasks', 'list', '--limit', '1', ...BETA()]);
      expect(page.stderr).toMatch(/^more: --cursor \d+\n$/);
      const [, cursor = ''] = /--cursor (\d+)/.exec(page.stderr) ?? [];
      const next = await run(['tasks', 'list', '--json', '--cursor', cursor, ...BETA()]);
      expect(records(next.stdout)).toEqual([failed]);
      const one = await run(['tasks', 'show', failed.task_id, '--json', ...BETA()]);
      expect(records(one.stdout)).toEqual([failed]);
      expect(await run(['tasks', 'list', ...FLAGS, '--tenant', 'ghost'])).toMatchObject({
        code: 0,
        stdout: '',
        stderr: 'no tasks\n',
      });
    });

    it('cancel cancels a task', async () => {
      const { tasks } = orchestrator.tenant('acme');
      const { task_id: id } = await tasks.submit({ type: 'ok', priority: 0 });
      const { code, stdout } = await run(['tasks', 'cancel', id, '--reason', 'not needed', ...ACME()]);
      expect([code, stdout]).toEqual([0, `task ${id} is cancelled\n`]);
      expect(await tasks.get(id)).toMatchObject({ status: 'cancelled', error: { message: 'not needed' } });
    });

    it('signal gives a waiting task what it waits for', async () => {
      const { tasks } = orchestrator.tenant('delta');
      orchestrator.workflow('approval', (ctx) => ctx.waitForSignal('approved'));
      const { task_id: id } = await tasks.submit({ type: 'approval' });
      const delta = [...FLAGS, '--tenant', 'delta'];
      const broken = await run(['tasks', 'signal', id, 'approved', '--payload', '{by', ...delta]);
      expect([broken.code, broken.stderr]).toEqual([2, expect.stringContaining('--payload')]);
      const given = await run(['tasks', 'signal', id, 'approved', '--payload', '{"by":"ana"}', ...delta]);
      expect(given).toMatchObject({ code: 0, stdout: `task ${id} has the signal approved\n` });
      expect(await tasks.wait(id)).toMatchObject({ status: 'completed', result: { by: 'ana' } });
      expect((await run(['tasks', 'signal', id, 'approved', ...delta])).code).toBe(1);
      expect((await run(['tasks', 'signal', NOWHERE, 'approved', ...delta])).code).toBe(3);
    });

    it.each([
      ['show', 'acme'],
      ['cancel', 'beta'],
    ])(
      '%s exits with 3 for a task that does not exist, or belongs to another tenant',
      async (verb, tenant) => {
        const foreign = tenant === 'acme' ? failed.task_id : (waiting['low']?.task_id ?? '');
        for (const id of [NOWHERE, foreign]) {
          const { code, stdout, stderr } = await run(['tasks', verb, id, ...FLAGS, '--tenant', tenant]);
          expect([code, stdout, stderr]).toEqual([3, '', `error: no task "${id}"\n`]);
        }
      },
    );
  });

  describe('orchestrator-cli sessions', () => {
    const ACME = () => [...FLAGS, '--tenant', 'acme'];

    it('list and show print sessions', async () => {
      expect((await run(['sessions', 'list', ...ACME()])).stdout).toMatch(
        /^session .*\ntalk +active +\d{4}-/,
      );
      const { stdout } = await run(['sessions', 'show', 'talk', ...ACME()]);
      expect(stdout).toMatch(/^talk {2}active, rev \d+/);
      expect(stdout).toContain('context: {"topic":"widgets"}');
      expect(stdout).toContain('hello');
      expect(stdout).toContain(`running: ${waiting['normal']?.task_id} (ok, pending)`);
      const json = await run(['sessions', 'show', 'talk', '--json', ...ACME()]);
      expect(records(json.stdout)).toMatchObject([
        { session: { session_id: 'talk' }, messages: [{ content: 'hello' }] },
      ]);
      expect((await run(['sessions', 'show', 'nothing', ...ACME()])).code).toBe(3);
      expect((await run(['sessions', 'list', '--status', 'odd', ...ACME()])).code).toBe(2);
    });

    it('close closes one, with its live tasks', async () => {
      const { sessions, tasks } = orchestrator.tenant('acme');
      await sessions.create({ session_id: 'short' });
      const { task_id: id } = await tasks.submit({ type: 'ok', session_id: 'short' });
      const closed = await run(['sessions', 'close', 'short', ...ACME()]);
      expect(closed).toMatchObject({ code: 0, stdout: 'session short is closed\n' });
      expect(await tasks.get(id)).toMatchObject({ status: 'cancelled' });
      expect((await run(['sessions', 'close', 'nothing', ...ACME()])).code).toBe(3);
    });
  });
});

describe('operator commands without what they need', () => {
  beforeAll(() => {
    world = memoryWorld();
    FLAGS = world.flags;
  });
  afterAll(() => world.close());

  it.each([
    [['queues', 'list']],
    [['queues', 'inspect', 'acme']],
    [['tenants', 'list']],
    [['tenants', 'pause', 'acme']],
    [['dlq', 'list', '--tenant', 'acme']],
    [['tasks', 'why', NOWHERE, '--tenant', 'acme']],
    [['tasks', 'list', '--tenant', 'acme']],
    [['tail', '--system']],
    [['cache', 'invalidate', '--tenant', 'acme']],
  ])(
    '%j --storage memory: exits with a message that it needs a storage that processes share',
    async (args) => {
      const { code, stdout, stderr } = await run([...args, '--storage', 'memory:']);
      expect([code, stdout]).toEqual([78, '']);
      expect(stderr).toMatch(
        /expected one in --storage <url>, ORCHESTRATOR_STORAGE or "storage" in the config file, got memory:/,
      );
    },
  );

  it.each([
    [['tasks', 'list']],
    [['tasks', 'why', NOWHERE]],
    [['sessions', 'list']],
    [['dlq', 'list']],
    [['dlq', 'redrive', NOWHERE]],
    [['cache', 'invalidate']],
  ])('%j exits with a message that it needs a tenant', async (args) => {
    const { code, stderr } = await run([...args, ...FLAGS]);
    expect([code, stderr]).toEqual([
      2,
      'error: the storage has the tasks of all tenants: expected --tenant <id>, got nothing\n',
    ]);
  });

  it('refuse a server URL together with the URL of a storage', async () => {
    const { code, stderr } = await run(['queues', 'list', '--url', 'http://127.0.0.1:1', ...FLAGS]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/--url names an orchestrator/);
  });

  it('print the error as JSON with --json', async () => {
    const { stderr } = await run(['queues', 'list', '--json', '--storage', 'memory:']);
    expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'invalid_request' } });
  });
});

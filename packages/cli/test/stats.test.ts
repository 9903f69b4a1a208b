import { MemoryStorage, Orchestrator, type Storage } from '@agent-orchestrator/core';
import { createIdentities, OrchestratorServer } from '@agent-orchestrator/ws-server';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCommandLine } from '../src/main.js';
import { records } from './cli-process.js';
import { fakeTerminal } from './fake-terminal.js';

const operatorToken = 'token-of-the-operator';
const CLEAR = '\u001B[H\u001B[2J';
const storage = new MemoryStorage();
const orchestrator = new Orchestrator({ storage });
orchestrator.workflow('asking', (ctx) => ctx.call('answering', 'answer', {}));
orchestrator.workflow('waiting', (ctx) => ctx.waitForSignal('go'));
orchestrator.service('answering', { run: () => ({ answer: 1 }) });
orchestrator.service('gone', { url: 'http://127.0.0.1:1' });
const server = new OrchestratorServer(orchestrator, { identities: createIdentities({ operatorToken }) });
const { tasks } = orchestrator.tenant('acme');
let done: string;

beforeAll(async () => {
  await server.listen(0);
  const { task_id } = await tasks.submit({ type: 'asking' });
  await tasks.wait(task_id);
  done = task_id;
});
afterAll(() => server.stop());

function started(args: readonly string[], { tty = false, straight = false } = {}) {
  const fake = fakeTerminal({
    cwd: '/',
    env: { ORCHESTRATOR_OPERATOR_TOKEN: operatorToken, NO_COLOR: '1' },
    tty,
  });
  const over = new AbortController();
  const openStorage = async (): Promise<Storage> =>
    Object.assign(Object.create(storage) as Storage, { close: async () => {} });
  const where = straight ? ['--redis', 'redis://127.0.0.1:1'] : ['--url', server.url];
  const code = runCommandLine([...args, ...where], fake.terminal, over.signal, {
    ...(straight && { openStorage }),
  });
  return { ...fake, code, interrupt: () => over.abort() };
}

async function run(...args: Parameters<typeof started>) {
  const { code, stdout, stderr } = started(...args);
  return { code: await code, stdout: stdout(), stderr: stderr() };
}

describe('orchestrator-cli stats', () => {
  it('prints a snapshot of a server, with its services', async () => {
    const { code, stdout } = await run(['stats']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^time +\d{4}-.*\nwaiting +0 pending, 0 of them ready\n/);
    expect(stdout).toMatch(/\nended +1 completed, 0 failed, 0 cancelled\n/);
    expect(stdout).toMatch(/\nanswering +process +closed +0 +1 +0 +\S+ ms\n/);
    const [report] = records((await run(['stats', '--json'])).stdout);
    expect(report).toMatchObject({ counts: { completed: 1 }, workers: 1, partial: false });
  });

  it('prints a snapshot straight from a storage, which has no services', async () => {
    const { code, stdout } = await run(['stats'], { straight: true });
    expect([code, stdout]).toMatchObject([0, expect.stringContaining('1 completed')]);
    expect(stdout).not.toContain('answering');
    const services = await run(['services', 'list'], { straight: true });
    expect(services.code).toBe(2);
  });
});

it.each([
  ['stats', []],
  ['queues', ['list']],
  ['workers', ['list']],
  ['tenants', ['list']],
])('orchestrator-cli %s --watch prints again until Ctrl-C, which is no failure', async (command, more) => {
  const plain = started([command, ...more, '--watch']);
  await plain.printed(/(?:time|tenant|worker) [^]*\n(?:time|tenant|worker) /);
  plain.interrupt();
  expect([await plain.code, plain.stderr()]).toEqual([0, '']);
  expect(plain.stdout()).not.toContain('\u001B');
  const drawn = started([command, ...more, '--watch'], { tty: true });
  await drawn.printed(new RegExp(`${CLEAR.replaceAll('[', '\\[')}[^]*${CLEAR.replaceAll('[', '\\[')}`));
  drawn.interrupt();
  expect(await drawn.code).toBe(0);
  expect(drawn.stdout().startsWith(CLEAR)).toBe(true);
});

it('orchestrator-cli tasks show --watch ends with the task', async () => {
  const { task_id: id } = await tasks.submit({ type: 'waiting' });
  const watching = started(['tasks', 'show', id, '--watch', '--json', '--tenant', 'acme'], {
    straight: true,
  });
  await watching.printed(/\n.*\n/);
  await tasks.signal(id, 'go');
  expect(await watching.code).toBe(0);
  const shown = records(watching.stdout());
  expect(shown.length).toBeGreaterThan(2);
  expect(shown.at(-1)).toMatchObject({ task_id: id, status: 'completed' });
});

it('orchestrator-cli tasks timeline prints attempts and steps', async () => {
  const { code, stdout } = await run(['tasks', 'timeline', done.slice(0, 8), '--tenant', 'acme']);
  expect(code).toBe(0);
  expect(stdout).toMatch(
    new RegExp(
      `^task ${done}: completed, waited .*, ran .*\nattempt 1 from .*\nstep .*\nanswering.answer +completed +1 `,
    ),
  );
});

describe('orchestrator-cli services', () => {
  it('list prints the services of a server', async () => {
    const { stdout } = await run(['services', 'list']);
    expect(stdout).toMatch(/^service .*\nanswering +process +closed .*\ngone +http +- +0 +0 +0 +-\n$/);
  });

  it('ping says which answer, and ends with 1 if one does not', async () => {
    const all = await run(['services', 'ping']);
    expect(all.code).toBe(1);
    expect(all.stdout).toMatch(/\nanswering +yes +runs in this process\ngone +no +\d+ ms +.*ECONNREFUSED/);
    const one = await run(['services', 'ping', 'answering', '--json']);
    expect(one.code).toBe(0);
    expect(records(one.stdout)).toMatchObject([{ name: 'answering', ping: { reachable: true } }]);
    expect((await run(['services', 'ping', 'nothing'])).code).toBe(2);
  });
});

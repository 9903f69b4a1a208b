import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  cli,
  CliProcess,
  folder,
  type Folder,
  records,
  type RunningServer,
  startServer,
} from './cli-process.js';

const KEY = 'key-of-the-tenant-acme';
const TOKEN = 'token-of-the-operators';
const READ_TOKEN = 'token-of-operators-who-read';
const TASK = '11111111-1111-4111-8111-111111111111';
const WORKFLOWS = `{
  ok: () => 'done',
  bad: () => { throw new Error('this is bad'); },
  approval: (ctx) => ctx.waitForSignal('never'),
}`;

async function place(config: string): Promise<Folder> {
  const made = await folder();
  onTestFinished(() => made[Symbol.asyncDispose]());
  await writeFile(join(made.path, 'orchestrator.config.mjs'), `export default ${config};`);
  return made;
}

async function started(args: readonly string[], options: { cwd: string; env?: Record<string, string> }) {
  const server = await startServer(args, options);
  onTestFinished(() => server[Symbol.asyncDispose]());
  return server;
}

/** Submits a task of a type; its id. */
async function submitted(
  type: string,
  client: { cwd?: string; env?: Record<string, string> },
): Promise<string> {
  const { stdout, stderr } = await cli(['run', type, '--no-wait', '--json'], client);
  const [record] = records(stdout);
  if (!record) throw new Error(stderr);
  return String(record['task_id']);
}

/** Listens on a free port; its URL. */
async function listening(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Waits until a failed task is in the queue of dead letters. */
async function deadLetter(id: string, list: () => Promise<string>): Promise<void> {
  while (!(await list()).includes(id));
}

describe('operator commands in the folder of a dev', () => {
  it('find server, operator token and tenant by themselves', async () => {
    const { path: cwd } = await place(`{ workflows: ${WORKFLOWS} }`);
    const server = await started(['dev'], { cwd });
    const run = (...args: string[]) => cli(args, { cwd });
    const note = join(cwd, '.orchestrator', 'dev.json');
    const dev = JSON.parse(await readFile(note, 'utf8')) as Record<string, string>;
    expect(dev).toMatchObject({
      url: server.url,
      tenant: 'dev',
      operatorToken: expect.stringMatching(/^dev-operator-/),
    });
    expect(dev['operatorToken']).not.toBe(dev['apiKey']);
    if (process.platform !== 'win32') expect((await stat(note)).mode & 0o777).toBe(0o600);

    const failed = await submitted('bad', { cwd });
    await deadLetter(failed, async () => (await run('dlq', 'list')).stdout);
    const why = await run('tasks', 'why', failed);
    expect([why.code, why.stderr]).toEqual([0, '']);
    expect(why.stdout).toContain('thrown: this is bad');
    expect((await run('tenants', 'pause', 'dev')).stdout).toMatch(/^tenant dev: paused, weight 1, no limit;/);
    const redriven = await run('dlq', 'redrive', failed);
    expect([redriven.code, redriven.stderr]).toEqual([0, '']);
    const queue = await run('queues', 'inspect', 'dev', '--json');
    expect(records(queue.stdout)).toMatchObject([
      { tenant_id: 'dev', paused: true, first_in_queue: [{ task: { task_id: redriven.stdout.trim() } }] },
    ]);
    const workers = await run('workers', 'list');
    expect(workers.stdout.split('\n')[1]).toMatch(/, ok, bad, approval$/);
    expect((await run('status')).stdout).toMatch(
      new RegExp(`^${server.url} is ready\n.*storage +ok +answers`, 's'),
    );
    expect((await run('queues', 'list')).stdout).toMatch(/^dev +1 +0 +1 .* paused$/m);
    await using tail = new CliProcess(['tail', '--system'], { cwd });
    await tail.printed('stdout', new RegExp(`dead_letter task ${failed} has failed`));
    tail.kill('SIGINT');
    expect(await tail.ended).toMatchObject({ code: 130, stderr: 'following system events, Ctrl-C ends\n' });
  });

  it('print the generated operator token, which is no API key', async () => {
    const { path: cwd } = await place('{}');
    await using dev = new CliProcess(['dev', '--port', '0'], { cwd });
    const [, token = ''] = await dev.printed('stderr', /export ORCHESTRATOR_OPERATOR_TOKEN=(\S+)/);
    const [url] = await dev.printed('stderr', /http:\/\/127\.0\.0\.1:\d+/);
    const { code } = await cli(['tasks', 'list', '--url', url], { env: { ORCHESTRATOR_API_KEY: token } });
    expect(code).toBe(4);
  });
});

describe('operator commands at --url', () => {
  const TOKENS = `operatorToken: '${TOKEN}', operatorReadToken: '${READ_TOKEN}',`;
  const serving = async (more = TOKENS): Promise<RunningServer> => {
    const { path: cwd } = await place(`{ apiKeys: { '${KEY}': 'acme' }, ${more} workflows: ${WORKFLOWS} }`);
    return started(['serve'], { cwd });
  };

  it('use the token of the environment, and need a tenant', async () => {
    const { url } = await serving();
    const env = { ORCHESTRATOR_OPERATOR_TOKEN: TOKEN };
    const failed = await submitted('bad', { env: { ORCHESTRATOR_API_KEY: KEY, ORCHESTRATOR_URL: url } });
    const run = (...args: string[]) => cli([...args, '--url', url], { env });
    await deadLetter(failed, async () => (await run('dlq', 'list', '--tenant', 'acme')).stdout);
    const shown = await run('dlq', 'show', failed, '--tenant', 'acme', '--json');
    expect(records(shown.stdout)).toMatchObject([{ task_id: failed, status: 'failed' }]);
    expect(await run('dlq', 'list')).toMatchObject({ code: 2, stdout: '' });
    expect((await run('dlq', 'list', '--tenant', 'other')).stderr).toBe('no dead letters\n');
    const foreign = await run('tasks', 'why', failed, '--tenant', 'other');
    expect([foreign.code, foreign.stderr]).toEqual([3, `error: no task "${failed}"\n`]);
    const unknown = await run('tenants', 'set', 'ghost', '--weight', '3');
    expect([unknown.code, unknown.stdout]).toEqual([3, '']);
    const created = await run('tenants', 'set', 'ghost', '--weight', '3', '--create');
    expect(created.stdout).toBe('tenant ghost: weight 3, no limit; ready 0, running 0\n');
    const reads = { env: { ORCHESTRATOR_OPERATOR_TOKEN: READ_TOKEN } };
    const paused = await cli(['tenants', 'pause', 'acme', '--url', url], reads);
    expect([paused.code, paused.stdout]).toEqual([4, '']);
    expect(paused.stderr).toContain('expected an operator token that may change things');
    expect((await cli(['tenants', 'list', '--url', url], reads)).stdout).toMatch(/^acme +1 +none/m);
    const limits = await run('tenants', 'list', '--limit', '1');
    expect([limits.stdout.split('\n').length, limits.stderr]).toEqual([3, 'more: --cursor acme\n']);
  });

  it.each([
    ['no token', {}, /got none: set ORCHESTRATOR_OPERATOR_TOKEN to the operator token/],
    ['a wrong token', { ORCHESTRATOR_OPERATOR_TOKEN: 'some-other-token' }, /set ORCHESTRATOR_OPERATOR_TOKEN/],
    ['an API key', { ORCHESTRATOR_OPERATOR_TOKEN: KEY }, /expected the operator token, got an API key/],
  ])('are denied with %s, in words and as JSON', async (_, env, message) => {
    const { url } = await serving();
    for (const args of [
      ['queues', 'list'],
      ['tail', '--system'],
    ]) {
      const { code, stdout, stderr } = await cli([...args, '--url', url], { env });
      expect([code, stdout]).toEqual([4, '']);
      expect(stderr).toMatch(message);
    }
    const json = await cli(['queues', 'list', '--json', '--url', url], { env });
    expect(JSON.parse(json.stderr)).toMatchObject({ error: { message: expect.stringMatching(message) } });
  });

  it('are denied by a server without an operator token', async () => {
    const { url } = await serving('');
    const { code, stderr } = await cli(['queues', 'list', '--url', url], {
      env: { ORCHESTRATOR_OPERATOR_TOKEN: TOKEN },
    });
    expect(code).toBe(4);
    expect(stderr).toMatch(/that this server was started with \(without one it has no operators\)/);
  });

  it('do not send the token of the environment to the URL of a file that is merely in the folder', async () => {
    const { path: cwd } = await place(`{ url: 'https://evil.example' }`);
    const { code, stderr } = await cli(['queues', 'list'], {
      cwd,
      env: { ORCHESTRATOR_OPERATOR_TOKEN: TOKEN },
    });
    expect(code).toBe(78);
    expect(stderr).toMatch(
      /the operator token belongs to http:\/\/127\.0\.0\.1:8000 and is not sent to https:\/\/evil/,
    );
  });

  it('say that no server is there', async () => {
    const gone = createServer();
    const url = await listening(gone);
    await new Promise((resolve) => gone.close(resolve));
    for (const args of [
      ['queues', 'list'],
      ['tail', '--system'],
    ]) {
      const { code, stderr } = await cli([...args, '--url', url]);
      expect(code).toBe(69);
      expect(stderr).toContain(`error: no orchestrator answers at ${url} (ECONNREFUSED): is it running?`);
    }
  });

  it('say that a server is of an older version', async () => {
    const older = createServer((_, response) => {
      response.writeHead(404, { 'content-type': 'application/problem+json' });
      response.end('{"code":"not_found","detail":"no such route","status":404}');
    });
    const url = await listening(older);
    onTestFinished(() => void older.close());
    const commands = [
      ['queues', 'list'],
      ['tasks', 'why', TASK, '--tenant', 'acme'],
      ['tenants', 'pause', 'acme', '--create'],
      ['tail', '--system'],
    ];
    for (const args of commands) {
      const { code, stderr } = await cli([...args, '--url', url]);
      expect([args, code]).toEqual([args, 69]);
      expect(stderr).toContain(`${url} has no /admin/v1: expected a server of this version`);
    }
  });

  it('end with an error when the server stops while they follow', async () => {
    const { url, process: server } = await serving();
    const env = { ORCHESTRATOR_OPERATOR_TOKEN: TOKEN };
    await using tail = new CliProcess(['tail', '--system', '--url', url], { env });
    await tail.printed('stdout', /worker_joined/);
    server.kill('SIGTERM');
    const { code, stderr } = await tail.ended;
    expect(code).toBe(69);
    expect(stderr).toContain(`error: ${url} has ended the stream`);
  });
});

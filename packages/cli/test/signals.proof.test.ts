import { access, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  cli,
  CliProcess,
  type Folder,
  folder,
  records,
  type RunningServer,
  startServer,
} from './cli-process.js';
import { cuttableRelay } from './cuttable-relay.js';
import { type SlowModel, slowModel } from './slow-model.js';

const QUESTION = 'What colour does the widget have?';
const STACK_TRACE = /^\s+at .*:\d+:\d+/m;

let place: Folder;
let model: SlowModel;

beforeAll(async () => {
  place = await folder();
  model = await slowModel();
  await mkdir(join(place.path, 'many'));
  await writeFile(join(place.path, 'widget.md'), '# Widget\n\nThe widget has the colour blue.\n');
  for (let index = 0; index < 300; index += 1) {
    await writeFile(
      join(place.path, 'many', `${index}.md`),
      `# Number ${index}\n\nSome words about ${index}.\n`,
    );
  }
});
afterAll(async () => {
  await model[Symbol.asyncDispose]();
  await place[Symbol.asyncDispose]();
});

/** A `dev` whose answers begin and never end, with one document. */
async function startDev(): Promise<RunningServer> {
  const dev = await startServer(['dev'], { env: { ORCHESTRATOR_LLM_URL: model.url } });
  expect(await cli(['ingest', 'widget.md'], { cwd: place.path, env: dev.env })).toMatchObject({ code: 0 });
  return dev;
}

describe.concurrent.each<NodeJS.Signals>(['SIGINT', 'SIGTERM'])('%s', (signal) => {
  it('a signal ends dev cleanly, in the middle of an ingestion and of a chat', async () => {
    await using dev = await startDev();
    const { env } = dev;
    await using chat = new CliProcess(['chat', QUESTION], { env });
    await chat.printed('stderr', /The first words/);
    await using ingest = new CliProcess(['ingest', 'many'], { cwd: place.path, env });
    await ingest.printed('stderr', /1\/300/);
    dev.process.kill(signal);
    const ended = await dev.process.ended;
    expect(ended.code).toBe(0);
    expect(ended.stderr).not.toMatch(STACK_TRACE);
    const refused = await ingest.ended;
    expect(refused.code).toBe(69);
    expect(refused.stderr).toMatch(/error: .*(?:orchestrator|shutting down)/);
    expect(refused.stderr).not.toMatch(STACK_TRACE);
    await chat.printed('stderr', /connection lost, reconnecting/);
  });

  it('a signal cancels the task of chat', async () => {
    await using dev = await startDev();
    const { env } = dev;
    await using chat = new CliProcess(['chat', QUESTION], { env });
    await chat.printed('stderr', /The first words/);
    chat.kill(signal);
    const { code, stdout, stderr } = await chat.ended;
    expect([code, stdout]).toEqual([130, '']);
    expect(stderr).toMatch(/cancelled\n$/);
    await model.hungUp;
    const list = await cli(['tasks', 'list', '--json', '--type', 'agent_execution'], { env });
    const [task] = records(list.stdout);
    const tail = await cli(['tasks', 'tail', String(task?.['task_id']), '--json'], { env });
    expect(tail.stdout).toContain('"cancelled"');
  });
});

describe.concurrent('an interrupted command', () => {
  let dev: RunningServer;
  beforeAll(async () => {
    dev = await startDev();
  });
  afterAll(() => dev[Symbol.asyncDispose]());

  it('ingest prints how far it came', async () => {
    await using ingest = new CliProcess(['ingest', 'many'], { cwd: place.path, env: dev.env });
    await ingest.printed('stderr', /1\/300/);
    ingest.kill('SIGINT');
    const { code, stderr } = await ingest.ended;
    expect(code).toBe(130);
    expect(stderr).toMatch(/documents ingested: \d+ \(\d+ passages\), interrupted before the other \d+\n$/);
  });

  it('run leaves its task running, and prints how to follow it', async () => {
    const input = JSON.stringify({ message: QUESTION });
    await using run = new CliProcess(['run', 'agent_execution', '-i', input], { env: dev.env });
    await run.printed('stderr', /created: agent_execution/);
    run.kill('SIGINT');
    const { code, stderr } = await run.ended;
    expect(code).toBe(130);
    expect(stderr).toMatch(/goes on at .*orchestrator-cli tasks tail [0-9a-f-]{36}/);
  });

  it('tail, and a conversation at its prompt, exit with 130', async () => {
    await using tail = new CliProcess(['tasks', 'tail'], { env: dev.env });
    await tail.printed('stderr', /following at/);
    tail.kill('SIGTERM');
    expect(await tail.ended).toMatchObject({ code: 130, stdout: '' });
    await using chat = new CliProcess(['chat'], { env: dev.env, input: '/what\n', keepInput: true });
    await chat.printed('stderr', /\/what is unknown/);
    chat.kill('SIGINT');
    expect(await chat.ended).toMatchObject({ code: 130, stdout: '' });
  });

  it('a command whose stdout is closed exits without an error', async () => {
    await using tail = new CliProcess(['tasks', 'tail', '--json'], { env: dev.env });
    await tail.printed('stdout', /"subscribed"/);
    tail.closeStdout();
    await cli(['run', 'query', '-i', JSON.stringify({ question: 'x' }), '--no-wait'], { env: dev.env });
    expect(await tail.ended).toMatchObject({ code: 0, stderr: '' });
  });
});

it('a command reconnects after a lost connection, without missing an event', async () => {
  await using dev = await startServer(['dev']);
  await using line = await cuttableRelay(dev.url);
  await using tail = new CliProcess(['tasks', 'tail', '--json'], {
    env: { ...dev.env, ORCHESTRATOR_URL: line.url },
  });
  await tail.printed('stdout', /"subscribed"/);
  const submit = async (question: string) => {
    const args = ['run', 'query', '--no-wait', '-i', JSON.stringify({ question })];
    return (await cli(args, { env: dev.env })).stdout.trim();
  };
  const before = await submit('before');
  await tail.printed('stdout', new RegExp(`"task_completed".*${before}`));
  line.cut();
  const after = await submit('after');
  await tail.printed('stdout', new RegExp(`"task_completed".*${after}`));
  tail.kill('SIGINT');
  const { code, stdout } = await tail.ended;
  expect(code).toBe(130);
  const events = records(stdout).filter(({ task_id: id }) => id === after);
  expect(events[0]).toMatchObject({ event: 'task_created' });
  expect(events.map(({ rev }) => rev)).toEqual(events.map((_, index) => index + 1));
});

describe('the credentials file of dev', () => {
  const note = () => join(place.path, '.orchestrator', 'dev.json');

  it('is removed at its end, and not overwritten by a second dev', async () => {
    await using first = await startServer(['dev'], { cwd: place.path });
    const args = ['dev', '--storage', 'memory:'];
    await using second = await startServer(args, { cwd: place.path });
    const { stdout } = await cli(['tasks', 'list', '--json'], { cwd: place.path });
    expect(stdout).toBe('');
    second.process.kill('SIGTERM');
    expect((await second.process.ended).code).toBe(0);
    expect(await cli(['tasks', 'list'], { cwd: place.path })).toMatchObject({ code: 0 });
    first.process.kill('SIGTERM');
    expect((await first.process.ended).code).toBe(0);
    await expect(access(note())).rejects.toThrow('ENOENT');
  });

  it('is taken over after a crash, with credentials that its clients go on with', async () => {
    await using killed = await startServer(['dev'], { cwd: place.path });
    killed.process.kill('SIGKILL');
    await killed.process.ended;
    const before = JSON.parse(await readFile(note(), 'utf8')) as object;
    expect(await cli(['tasks', 'list'], { cwd: place.path })).toMatchObject({ code: 69 });
    await using next = await startServer(['dev'], { cwd: place.path });
    expect(await cli(['tasks', 'list'], { cwd: place.path })).toMatchObject({ code: 0 });
    const after = JSON.parse(await readFile(note(), 'utf8')) as object;
    expect(after).toEqual({ ...before, url: next.url, pid: next.process.pid });
    expect(next.env).toEqual({ ...killed.env, ORCHESTRATOR_URL: next.url });
  });

  it('is not taken over when it has other credentials than dev makes', async () => {
    const weak = { url: 'http://127.0.0.1:1', pid: 2 ** 22, apiKey: 'dev-guessed', tenant: 'dev' };
    await mkdir(join(place.path, '.orchestrator'), { recursive: true });
    await writeFile(note(), JSON.stringify(weak), { mode: 0o600 });
    await using next = await startServer(['dev'], { cwd: place.path });
    expect(next.env['ORCHESTRATOR_API_KEY']).toMatch(/^dev-[\w-]{43}$/);
  });
});

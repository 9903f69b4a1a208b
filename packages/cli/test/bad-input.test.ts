import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  cli,
  type Ended,
  firstRecord,
  type Folder,
  folder,
  records,
  type RunningServer,
  startServer,
} from './cli-process.js';
import { runCommandLine } from '../src/main.js';
import { fakeTerminal } from './fake-terminal.js';

const NO_SUCH = '0b5c0000-0000-4000-8000-000000000000';
const KEY = 'key-of-the-tenant-acme';
const FILES: Readonly<Record<string, string | Buffer>> = {
  'array.json': '[]',
  'broken.json': '{"steps":[',
  'cycle.json':
    '{"steps":[{"id":"a","service":"query","operation":"query","depends_on":["b"]},{"id":"b","service":"query","operation":"query","depends_on":["a"]}]}',
  'empty.json': '',
  'no-steps.json': '{}',
  'unknown-operation.json': '{"steps":[{"id":"a","service":"query","operation":"nope"}]}',
  'unknown-service.json': '{"steps":[{"id":"a","service":"nope","operation":"query"}]}',
  'unknown-step.json': '{"steps":[{"id":"a","service":"query","operation":"query","depends_on":["z"]}]}',
  'binary.md': Buffer.from([97, 0, 98]),
  'blank.md': ' \n',
  'code.ts': 'x',
  'empty.md': '',
  'latin.txt': Buffer.from([0x63, 0xe9]),
  'large.md': Buffer.alloc(1_000_000, 97),
  // Each of them takes two bytes in JSON.
  'quotes.md': Buffer.alloc(900_000, 34),
};

let place: Folder;
let dev: RunningServer;
let other: Server;
let otherUrl: string;

beforeAll(async () => {
  place = await folder();
  await mkdir(join(place.path, 'nothing'));
  await mkdir(join(place.path, 'folder.json'));
  for (const [name, content] of Object.entries(FILES)) await writeFile(join(place.path, name), content);
  dev = await startServer(['dev'], { cwd: place.path, env: { ORCHESTRATOR_API_KEYS: `${KEY}=acme` } });
  other = createServer((_, response) => response.end('<html>'));
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  otherUrl = `http://127.0.0.1:${(other.address() as AddressInfo).port}`;
});
afterAll(async () => {
  other.closeAllConnections();
  other.close();
  await dev[Symbol.asyncDispose]();
  await place[Symbol.asyncDispose]();
});

/** What a command does: as there are many of them, in this process. */
async function run(args: readonly string[], more: Readonly<Record<string, string>> = {}): Promise<Ended> {
  const env = { ...dev.env, ORCHESTRATOR_API_KEY: KEY, ...more };
  const { terminal, stdin, stdout, stderr } = fakeTerminal({ env, cwd: place.path });
  stdin.end();
  const code = await runCommandLine(args, terminal, new AbortController().signal);
  return { code, stdout: stdout(), stderr: stderr() };
}

type BadInput = readonly [args: readonly string[], code: number, message: RegExp];

const USAGE: readonly BadInput[] = [
  [['chta'], 2, /^unknown command 'chta' \(did you mean chat\?\)/],
  [['--jsno', 'chat'], 2, /^unknown option '--jsno'/],
  [['chat', ''], 2, /expected a question, got an empty one/],
  [['chat', '-c', '-s', 'x', 'hi'], 2, /expected --session or --continue, got both/],
  [['dev', '--url', 'http://x'], 2, /expected --port and --host here, got --url/],
  [['tasks', 'tail', NO_SUCH, '-s', 'x'], 2, /expected a task or --session, got both/],
];

const IDS: readonly BadInput[] = [
  [['tasks', 'show', 'nope'], 2, /task-id: expected a UUID v4, got "nope"/],
  [['tasks', 'show', ''], 2, /task-id: expected a UUID v4, got ""/],
  [['tasks', 'show', NO_SUCH], 3, /no task "0b5c0000/],
  [['tasks', 'cancel', NO_SUCH], 3, /no task/],
  [['tasks', 'tail', NO_SUCH], 3, /no task/],
  [['tasks', 'tail', '-s', 'a b'], 2, /session-id: expected 1 to 64 letters.*got "a b"/],
  [['tasks', 'tail', '-s', 'nope'], 3, /no session "nope"/],
  [['sessions', 'show', '..'], 2, /session-id: expected 1 to 64 letters/],
  [['sessions', 'show', 'nope'], 3, /none of the newest 1,000 sessions has an id that begins with "nope"/],
  [['chat', '-s', 'nope', 'hi'], 3, /no session "nope"/],
  [['chat', '-c', 'hi'], 3, /no session to continue/],
  [['run', 'query', '-s', 'nope'], 3, /no session "nope"/],
  [['tasks', 'list', '--status', 'nope'], 2, /expected one of "pending"/],
  [['tasks', 'list', '-n', 'abc'], 2, /"limit": expected a whole number, got "abc"/],
  [['tasks', 'list', '-n', '0'], 2, /"limit": expected at least 1/],
  [['tasks', 'list', '--cursor', 'x'], 2, /cursor: expected/],
  [['sessions', 'list', '--status', 'nope'], 2, /expected one of "active"/],
];

const PLANS: readonly BadInput[] = [
  [['run', 'nope.json'], 2, /nope\.json: expected a file, got nothing there/],
  [['run', 'folder.json'], 2, /folder\.json: expected a file, got a folder/],
  [['run', 'broken.json'], 2, /broken\.json: expected JSON, got Unexpected end/],
  [['run', 'empty.json'], 2, /empty\.json: expected JSON, got nothing/],
  [['run', 'array.json'], 2, /array\.json: expected a plan, an object with "steps"/],
  [['run', 'no-steps.json'], 2, /plan at "steps": expected array, got nothing/],
  [['run', 'cycle.json'], 2, /cycle a -> b -> a/],
  [['run', 'unknown-step.json'], 2, /step "a".*"z"/],
  [['run', 'unknown-service.json'], 2, /step "a".*"nope"/],
  [['run', 'unknown-operation.json', '--json'], 1, /^$/],
  [['run', 'query', '-i', '{bad'], 2, /--input: expected JSON, got/],
  [['run', 'query', '-i', ''], 2, /--input: expected JSON, got nothing/],
  [
    ['run', 'query', '-i', '{}', '--input-file', 'array.json'],
    2,
    /expected --input or --input-file, got both/,
  ],
  [['run', 'query', '--input-file', 'nope.json'], 2, /nope\.json: expected a file, got nothing there/],
  [['run', 'a b'], 2, /expected 1 to 64 letters.*got "a b"/],
];

const DOCUMENTS: readonly BadInput[] = [
  [['ingest', 'nothing'], 2, /expected Markdown, text or HTML files in nothing, got none/],
  [['ingest', ''], 2, /expected files and folders, got an empty name/],
];

function isOneError(stderr: string, json: boolean): string {
  const lines = stderr.trimEnd().split('\n');
  expect(lines).toHaveLength(1);
  const [line = ''] = lines;
  if (!json) return line.replace(/^error: /, '');
  return (firstRecord(line) as { error: { message: string } }).error.message;
}

describe('invalid input to the CLI: one error line and its exit code', () => {
  it.each([...USAGE, ...IDS])('refuses %j', async (args, code, message) => {
    const ended = await run(args);
    expect(ended).toMatchObject({ code, stdout: '' });
    expect(isOneError(ended.stderr, false)).toMatch(message);
  });

  it.concurrent.each([...PLANS, ...DOCUMENTS])('refuses %j', async (args, code, message) => {
    const ended = await run(args);
    expect(ended).toMatchObject({ code });
    if (message.source === '^$') {
      expect([records(ended.stdout)[0]?.['status'], ended.stderr]).toEqual(['failed', '']);
      return;
    }
    expect(ended.stdout).toBe('');
    expect(isOneError(ended.stderr, false)).toMatch(message);
  });

  it.concurrent.each([
    ['chat', '--jsno'],
    ['tasks', 'show', 'nope'],
    ['run', 'broken.json'],
    ['dev', '--port', 'abc'],
  ])('with --json prints one error object: %s %s %s', async (...args) => {
    const words = [...args.filter((arg) => arg !== undefined), '--json'];
    const { stderr } = await cli(words, { cwd: place.path, env: { ...dev.env, ORCHESTRATOR_API_KEY: KEY } });
    expect(isOneError(stderr, true)).not.toBe('');
  });
});

describe('CLI commands on failing tasks', () => {
  it.concurrent.each<[string[], number, RegExp]>([
    [
      ['run', 'no_such_workflow'],
      3,
      /error: no workflow "no_such_workflow": it is not a task type, and the Workflow Engine/,
    ],
    [['run', 'query'], 1, /invalid_request: .*"question": expected string, got nothing/],
    [['chat', '--agent', 'ghost', 'hi'], 1, /not_found: agent "ghost"/],
    [['ingest', 'code.ts'], 1, /refused code\.ts: expected Markdown, text or HTML/],
  ])('exit with the code of the failure: %j', async (args, code, message) => {
    const ended = await run(args);
    expect(ended).toMatchObject({ code, stdout: '' });
    expect(ended.stderr).toMatch(message);
  });

  it('chat without documents answers how to ingest some', async () => {
    await using empty = await startServer(['dev'], { env: { ORCHESTRATOR_API_KEYS: `${KEY}=acme` } });
    const env = { ...empty.env, ORCHESTRATOR_API_KEY: KEY };
    const { code, stdout, stderr } = await cli(['chat', 'what is it?'], { env });
    expect(code).toBe(0);
    expect(stdout).toContain('No documents');
    expect(stderr).toContain('orchestrator-cli ingest');
  });

  it('ingest refuses each invalid document and ingests the others', async () => {
    await writeFile(join(place.path, 'good.md'), '# Good\n\nThis one is good.');
    const { code, stdout } = await run(['ingest', '.', '/dev/zero', '--json']);
    expect(code).toBe(1);
    const byName = new Map(records(stdout).map((record) => [record['name'], record]));
    expect(byName.get('good.md')).toMatchObject({ status: 'completed' });
    const reasons = [...byName.values()].flatMap(({ name, error }) =>
      error === undefined ? [] : [[name, (error as { message: string }).message]],
    );
    expect(Object.fromEntries(reasons)).toEqual({
      '/dev/zero': 'expected a file or folder, got a device or socket',
      'binary.md': 'expected text, got a binary file',
      'blank.md': expect.stringContaining('expected some text') as string,
      'empty.md': 'expected some text, got an empty file',
      'large.md': 'expected at most 983040 bytes, got 1000000',
      'latin.txt': 'expected UTF-8 text, got something else',
      'quotes.md': expect.stringContaining('expected at most 1048576 bytes') as string,
    });
  });
});

describe('credentials and addresses of CLI commands', () => {
  // One that begins with the live connection, one with HTTP, and one that does much at once.
  const COMMANDS = [
    ['chat', 'hi'],
    ['tasks', 'list'],
    ['ingest', 'code.ts', 'blank.md'],
  ];

  it.concurrent.each(COMMANDS)('exits with 4 for a wrong key: %s %s', async (...args) => {
    const wrong = 'this-is-not-the-key';
    const { code, stderr } = await run(
      args.filter((arg) => arg !== undefined),
      { ORCHESTRATOR_API_KEY: wrong },
    );
    expect(code).toBe(4);
    expect(stderr).toContain('ORCHESTRATOR_API_KEY');
    expect(stderr).not.toContain(wrong);
  });

  it.concurrent('exits with 4 without a key, in another folder than that of dev', async () => {
    const { code, stderr } = await cli(['tasks', 'list'], { env: { ORCHESTRATOR_URL: dev.url } });
    expect(code).toBe(4);
    expect(isOneError(stderr, false)).toMatch(/set ORCHESTRATOR_API_KEY to one of its API keys/);
  });

  it.concurrent.each(COMMANDS)('exits with 69 for an unreachable server: %s %s', async (...args) => {
    const env = { ORCHESTRATOR_URL: 'http://127.0.0.1:9' };
    const { code, stderr } = await run(
      args.filter((arg) => arg !== undefined),
      env,
    );
    expect(code).toBe(69);
    expect(stderr.trimEnd().split('\n').at(-1)).toMatch(/no orchestrator answers at http:\/\/127\.0\.0\.1:9/);
  });

  it.concurrent.each(COMMANDS)(
    'exits with 69 for a server that is not an orchestrator: %s %s',
    async (...args) => {
      const { code } = await run(
        args.filter((arg) => arg !== undefined),
        { ORCHESTRATOR_URL: otherUrl },
      );
      expect(code).toBe(69);
    },
  );

  it.concurrent('sends a key only to the URL of the same source', async () => {
    const { code, stderr } = await run(['tasks', 'list', '--url', otherUrl]);
    expect(code).toBe(78);
    expect(stderr).toContain(`is not sent to ${otherUrl}`);
  });

  it.concurrent('does not send the key of dev to another host', async () => {
    const asked: (string | undefined)[] = [];
    const stranger = createServer((request, response) => {
      asked.push(request.headers.authorization);
      response.end('{}');
    });
    await new Promise<void>((resolve) => stranger.listen(0, '127.0.0.1', resolve));
    await using own = await folder();
    await using _dev = await startServer(['dev'], { cwd: own.path });
    const { port } = stranger.address() as AddressInfo;
    await cli(['tasks', 'list', '--url', `http://127.0.0.1:${port}`], { cwd: own.path });
    stranger.closeAllConnections();
    stranger.close();
    expect(asked).toEqual([undefined]);
  });
});

it('leaves the orchestrator serving after all refused commands', async () => {
  expect(await run(['tasks', 'list'])).toMatchObject({ code: 0 });
  // An invalid request fails its task, and is published for operators.
  const others = dev.process.stderr.split('\n').filter((line) => !line.startsWith('error task failed {'));
  expect(others.join('\n')).toBe('');
});

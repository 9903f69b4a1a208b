import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { Orchestrator } from '@agent-orchestrator/core';
import { operation, startServiceProcess } from '@agent-orchestrator/local-stack';
import { createIdentities, OrchestratorServer } from '@agent-orchestrator/ws-server';
import { freePort } from '@agent-orchestrator/test-servers';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { SECTIONS } from '../src/services/check.js';
import { runCommandLine } from '../src/main.js';
import { cli, CliProcess, firstRecord, folder } from './cli-process.js';
import { fakeTerminal } from './fake-terminal.js';
import { FlawedService, problem } from './flawed-service.js';

const TOKEN = 'token-of-the-service';
const env = { SERVICE_TOKEN: TOKEN };
const PYTHON_SERVICE = new URL('../../../examples/python-service/text_service.py', import.meta.url).pathname;
const UNREACHABLE = 'http://127.0.0.1:1';

const check = (url: string, ...flags: string[]) => [
  'services',
  'check',
  url,
  '--operation',
  'work',
  ...flags,
];

interface Mortal {
  /** Whether the service ends at a request. */
  readonly endsAt: (request: { readonly call: unknown }) => boolean;
  /** Responds to the request that ends it with a job without a report. */
  readonly answers?: boolean;
}

/** A service that answers at once, and ends at a request: nothing listens at its port from then on. */
async function mortalService({ endsAt, answers = false }: Mortal) {
  const server = createHttpServer((request, response) => {
    void text(request).then((body) => {
      const call = parsed(body);
      const isEnd = endsAt({ call });
      if (isEnd) server.close();
      if (isEnd && !answers) server.closeAllConnections();
      else if (isEnd) response.writeHead(202).end(JSON.stringify({ job_id: randomUUID() }));
      else response.end(JSON.stringify({ result: 2 }));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    [Symbol.asyncDispose]: async () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

describe.concurrent('orchestrator-cli services check', () => {
  it('reports no violation for the TypeScript sample service', async () => {
    const work = operation({
      input: z.object({ n: z.number() }),
      answers: 'later',
      run: async ({ n }, context) => {
        context.progress('working', { percent: 50 });
        await new Promise((resolve) => setTimeout(resolve, 300));
        context.signal.throwIfAborted();
        return n + 1;
      },
    });
    const ports = { hub: await freePort(), service: await freePort() };
    const input = ['--input', '{"n":1}', '--bad-input', '{"n":"one"}', '--name', 'adder'];
    const args = check(`http://127.0.0.1:${ports.service}`, ...input, '--listen', String(ports.hub));
    await using running = new CliProcess(args, { env });
    const [, orchestratorUrl = ''] = await running.printed('stderr', /ORCHESTRATOR_URL=(\S+)/);
    const definition = { name: 'adder', operations: { work } };
    const service = await startServiceProcess({
      definition,
      orchestratorUrl,
      token: TOKEN,
      port: ports.service,
    });
    const { code, stdout, stderr } = await running.ended;
    await service.stop();
    expect(stdout.split('\n').filter((line) => !line.startsWith('ok '))).toEqual(['']);
    expect(stderr).toMatch(/^33 ok, 0 warnings, 0 failed, 0 skipped$/m);
    expect(code).toBe(0);
  });

  it('exits with 1, and prints the expected and the actual value', async () => {
    const port = await freePort();
    await using place = await folder();
    await writeFile(join(place.path, 'input.json'), '{"n":1}');
    await using service = await FlawedService.start({
      hubUrl: `http://127.0.0.1:${port}`,
      token: TOKEN,
      flaws: { answer: (usual) => (usual.status === 404 ? problem(500) : usual) },
    });
    const flags = ['--operation', 'quick', '--input', '@input.json', '--listen', String(port)];
    const ended = await cli(['services', 'check', service.url, ...flags], { env, cwd: place.path });
    expect(ended.code).toBe(1);
    expect(ended.stdout).toContain(
      [
        'FAILED   unknown-operation    refuses an unknown operation, not retryable, with a code',
        '           expected a final 4xx with a "code" in its body',
        '           got 500 {"title":"no","status":500}',
        '           see docs/writing-a-service.md#responses',
      ].join('\n'),
    );
    expect(ended.stderr).toContain(`ORCHESTRATOR_URL=http://127.0.0.1:${port}`);
    expect(ended.stderr).toMatch(/\d+ ok, 0 warnings, 1 failed, \d+ skipped/);
  });

  it('exits with 69 when nothing listens at the URL', async () => {
    const { code, stdout } = await cli(check(UNREACHABLE, '--listen', '0', '--json'), { env });
    expect(code).toBe(69);
    expect(firstRecord(stdout)).toMatchObject({ check: 'reachable', verdict: 'failed', got: 'ECONNREFUSED' });
  });

  it.each<[string, Mortal]>([
    ['a body that is not JSON ends it', { endsAt: ({ call }) => call === undefined }],
    [
      'a call ends it, and its job never reports',
      { endsAt: ({ call }) => call !== undefined, answers: true },
    ],
  ])('exits with 69 when the service has died: %s', async (_, mortal) => {
    await using service = await mortalService(mortal);
    const input = ['--input', '{"n":1}', '--listen', '0', '--json'];
    const { code, stdout, stderr } = await cli(check(service.url, ...input), { env });
    expect(code).toBe(69);
    expect(JSON.parse(stderr)).toEqual({
      error: {
        code: 'service_unavailable',
        message: expect.stringMatching(
          /goes on listening at .*, got no connection since the check "[a-z-]+"/,
        ),
      },
    });
    const records = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, string>);
    const lost = records.findLastIndex(({ verdict }) => verdict === 'failed');
    expect(records[lost]?.['check']).toBe(mortal.answers ? 'connects' : 'not-json');
    const after = records.slice(lost + 1).map(({ verdict, note }) => `${verdict}: ${note}`);
    expect(after.length).toBeGreaterThan(10);
    expect(new Set(after)).toEqual(new Set(['skipped: nothing listens at the URL any more']));
  });

  it('exits with 130 at Ctrl-C', async () => {
    const silent = createServer().listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as AddressInfo;
    await using running = new CliProcess(check(`http://127.0.0.1:${port}`, '--listen', '0'), { env });
    await running.printed('stdout', /^ok +reachable/m);
    running.kill('SIGINT');
    expect(await running.ended).toMatchObject({ code: 130 });
    silent.close();
  });

  it.each<[string[], number, RegExp]>([
    [['services', 'check', UNREACHABLE], 2, /required option '--operation <name>' not specified/],
    [['services', 'check', '--operation', 'work'], 2, /missing required argument 'url'/],
    [check('nowhere'), 2, /url: expected an http or https URL, got "nowhere"/],
    [check('ftp://x'), 2, /url: expected an http or https URL/],
    [
      ['services', 'check', UNREACHABLE, '--operation', 'No!'],
      2,
      /--operation: expected 1 to 64 lower-case letters/,
    ],
    [check(UNREACHABLE, '--input', '{'), 2, /--input: expected JSON/],
    [check(UNREACHABLE, '--input', '@nope.json'), 2, /nope\.json: expected a file, got nothing there/],
    [check(UNREACHABLE, '--bad-input', ''), 2, /--bad-input: expected JSON, got nothing/],
    [check(UNREACHABLE, '--name', 'a b'), 2, /--name: expected 1 to 64 letters/],
    [check(UNREACHABLE, '--timeout', '0'), 2, /--timeout: expected seconds, up to 3600, got "0"/],
    [check(UNREACHABLE, '--listen', 'x'), 2, /--listen: expected a port, 0 to 65535, got "x"/],
    [
      check(UNREACHABLE, '--url', UNREACHABLE),
      2,
      /expected the URL of the service as the argument, got --url/,
    ],
  ])('%j: exits with %i', async (args, code, message) => {
    const { terminal, stdout, stderr } = fakeTerminal({ env });
    expect(await runCommandLine(args, terminal, new AbortController().signal)).toBe(code);
    expect([stdout(), stderr()]).toEqual(['', expect.stringMatching(message)]);
  });

  it('exits with 78 without a token, or for a port in use', async () => {
    const none = await cli(check(UNREACHABLE));
    expect(none).toMatchObject({ code: 78, stdout: '' });
    expect(none.stderr).toMatch(/SERVICE_TOKEN: expected 8 to 1024 visible ASCII characters, got nothing/);
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as AddressInfo;
    const ended = await cli(check(UNREACHABLE, '--listen', String(port)), { env });
    taken.close();
    expect(ended).toMatchObject({ code: 78, stdout: '' });
    expect(ended.stderr).toContain(`port ${port} of 127.0.0.1 is in use already: choose another port`);
  });

  it('links to headings that the guide has', async () => {
    const guide = await readFile(new URL('../../../docs/writing-a-service.md', import.meta.url), 'utf8');
    const headings = [...guide.matchAll(/^## (.+)$/gm)].map(([, text = '']) =>
      text
        .toLowerCase()
        .replaceAll(/[^a-z ]/g, '')
        .replaceAll(' ', '-'),
    );
    expect(headings).toEqual(expect.arrayContaining([...SECTIONS]));
  });
});

interface PythonService {
  readonly url: string;
  readonly process: ChildProcessByStdio<null, Readable, null>;
}

async function startPython(orchestratorUrl: string, port = 0): Promise<PythonService> {
  const child = spawn('python3', [PYTHON_SERVICE], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      ...process.env,
      PYTHONDONTWRITEBYTECODE: '1',
      ORCHESTRATOR_URL: orchestratorUrl,
      SERVICE_TOKEN: TOKEN,
      SERVICE_PORT: String(port),
    },
  });
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
  return { url: (JSON.parse(line) as { url: string }).url, process: child };
}

const hasPython = Boolean(process.env['CI']) || spawnSync('python3', ['--version']).status === 0;
if (!hasPython) console.log('the service in Python is not checked: python3 is not installed');

describe.skipIf(!hasPython).concurrent('the sample service in Python', () => {
  it('passes services check', async () => {
    const ports = { hub: await freePort(), service: await freePort() };
    const text = 'One is here. Two is there. Three is nowhere. Four is missing.';
    const input = [
      '--operation',
      'summarise',
      '--input',
      JSON.stringify({ text }),
      '--bad-input',
      '{"text":1}',
    ];
    const url = `http://127.0.0.1:${ports.service}`;
    const args = ['services', 'check', url, ...input, '--name', 'text', '--listen', String(ports.hub)];
    // Before the command, which waits for it three seconds only: it connects as soon as there is a hub.
    const python = await startPython(`http://127.0.0.1:${ports.hub}`, ports.service);
    await using running = new CliProcess(args, { env });
    const { code, stdout } = await running.ended;
    python.process.kill('SIGTERM');
    await once(python.process, 'exit');
    expect(stdout.split('\n').filter((line) => !line.startsWith('ok '))).toEqual(['']);
    expect(code).toBe(0);
  });

  it('reports the outcomes of its jobs when it is stopped', async () => {
    const orchestrator = new Orchestrator();
    const identities = createIdentities({ serviceTokens: [{ service: 'text', token: TOKEN }] });
    await using server = await new OrchestratorServer(orchestrator, { identities }).listen(0);
    const python = await startPython(server.url);
    orchestrator.service('text', { url: python.url, token: TOKEN });
    orchestrator.workflow('summary', (ctx, text: string) =>
      ctx.call('text', 'summarise', { text }, { retry: { maxAttempts: 1 } }),
    );
    const { tasks, events } = orchestrator.tenant('acme');
    // A tenth of a second, and a minute and a half.
    const short = await tasks.submit({ type: 'summary', payload: 'It rains. It pours.', max_attempts: 1 });
    const long = await tasks.submit({
      type: 'summary',
      payload: 'It rains. '.repeat(2_000),
      max_attempts: 1,
    });
    for (const { task_id } of [short, long]) {
      for await (const event of events.follow({ task_id })) if (event.event === 'task_status_update') break;
    }
    python.process.kill('SIGTERM');
    expect(await once(python.process, 'exit')).toEqual([0, null]);
    expect(await tasks.wait(short.task_id)).toMatchObject({ status: 'completed' });
    const { error } = await tasks.wait(long.task_id);
    expect(error?.message).toContain('the service stopped before the job was done');
  });
});

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { cli, CliProcess, firstRecord, folder, records, startServer } from './cli-process.js';

const KEY = 'key-of-the-tenant-acme';

/** `serve` in a folder with this config file. */
async function serving(config: string) {
  const place = await folder();
  await writeFile(join(place.path, 'orchestrator.config.mjs'), config);
  const server = await startServer(['serve'], { cwd: place.path });
  const env = { ...server.env, ORCHESTRATOR_API_KEY: KEY };
  return {
    env,
    process: server.process,
    run: (...args: string[]) => cli(args, { env }),
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await place[Symbol.asyncDispose]();
    },
  };
}

describe.concurrent('orchestrator-cli serve', () => {
  it('runs the workflows and services of the config file', async () => {
    const asked: string[] = [];
    const service = createServer((request, response) => {
      asked.push(`${request.url} ${request.headers.authorization}`);
      const garbage = request.url === '/garbage';
      response.writeHead(200, { 'content-type': garbage ? 'text/html' : 'application/json' });
      response.end(garbage ? '<html>' : '{"result": {"said": "hello"}}');
    });
    await new Promise<void>((resolve) => service.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(service.address() as AddressInfo).port}`;
    await using server = await serving(`export default {
      apiKeys: { '${KEY}': 'acme' },
      services: { greeter: { url: '${url}', token: 'token-of-the-greeter' } },
      workflows: {
        greet: (ctx, input) => ctx.call('greeter', 'greet', input),
        garbage: (ctx) => ctx.call('greeter', 'garbage', {}),
        wait: (ctx) => ctx.waitForSignal('never', { timeoutMs: 50 }),
        oops: () => { throw new Error('oops'); },
      },
    };`);
    const { code, stdout } = await server.run('run', 'greet', '--json', '--input', '{"name":"me"}');
    expect([code, records(stdout)[0]?.['result']]).toEqual([0, { said: 'hello' }]);
    expect(asked).toEqual(['/greet Bearer token-of-the-greeter']);
    const failed = async (...args: string[]) => {
      const ended = await server.run('run', '--json', ...args);
      const { error } = firstRecord(ended.stdout || ended.stderr) as { error: { code: string } };
      return [ended.code, error.code];
    };
    expect(await failed('garbage')).toEqual([1, 'invalid_response']);
    expect(await failed('wait')).toEqual([75, 'timeout']);
    expect(await failed('oops')).toEqual([1, 'workflow_error']);
    expect(await failed('nope')).toEqual([3, 'unknown_workflow']);
    service.closeAllConnections();
    service.close();
  });

  it('gives a key the scopes and the user of its settings', async () => {
    await using server = await serving(`export default {
      apiKeys: { '${KEY}': { tenant: 'acme', scopes: ['chat', 'tasks'], user_id: 'ann' } },
      workflows: { user: (ctx) => ctx.metadata.user_id },
    };`);
    const { code, stdout } = await server.run('run', 'user', '--json');
    expect([code, records(stdout)[0]?.['result']]).toEqual([0, 'ann']);
    await using place = await folder();
    const file = join(place.path, 'plan.json');
    await writeFile(file, '{"steps": [{"id": "ask", "service": "query", "operation": "query"}]}');
    const refused = await server.run('run', file);
    expect(refused.code).toBe(4);
    expect(refused.stderr).toContain('expected an API key with the scope "plans", got one without it');
  });

  it('names the service that is down', async () => {
    await using server = await serving(`export default {
      apiKeys: { '${KEY}': 'acme' },
      services: { gone: { url: 'http://127.0.0.1:9' } },
      workflows: { call: (ctx) => ctx.call('gone', 'x', {}) },
    };`);
    await using run = new CliProcess(['run', 'call'], { env: server.env });
    await run.printed('stderr', /service_unavailable, error gone cannot be reached \(ECONNREFUSED\)/);
  });

  it('refuses to start without API keys, and prints how to create one', async () => {
    const { code, stdout, stderr } = await cli(['serve', '--port', '0']);
    expect([code, stdout]).toEqual([78, '']);
    expect(stderr).toMatch(/^error: no API keys: expected ORCHESTRATOR_API_KEYS=<key>=<tenant>/);
  });
});

describe.concurrent('orchestrator-cli serve with a workflow that ignores its signal', () => {
  const STUCK = `export default {
    apiKeys: { '${KEY}': 'acme' },
    workflows: { stuck: () => new Promise(() => setInterval(() => {}, 1000)) },
  };`;

  it('ends after its grace period', async () => {
    await using server = await serving(STUCK);
    await using run = new CliProcess(['run', 'stuck'], { env: server.env });
    await run.printed('stderr', /started/);
    server.process.kill('SIGTERM');
    // One press of Ctrl-C may come twice.
    server.process.kill('SIGINT');
    expect((await server.process.ended).code).toBe(0);
  });

  it('ends at once at a second signal', async () => {
    await using server = await serving(STUCK);
    await using run = new CliProcess(['run', 'stuck'], { env: server.env });
    await run.printed('stderr', /started/);
    server.process.kill('SIGINT');
    const again = setInterval(() => server.process.kill('SIGINT'), 100);
    const { code } = await server.process.ended;
    clearInterval(again);
    expect(code).toBe(130);
  });
});

describe.concurrent('dev and serve refuse', () => {
  it.each<[string[], Record<string, string>, RegExp]>([
    [['dev', '--port', 'abc'], {}, /--port: expected a port, 0 to 65535, got "abc"/],
    [['dev', '--port', ''], {}, /--port: expected a port/],
    [
      ['dev', '--host', '0.0.0.0'],
      {},
      /made up on loopback only: expected ORCHESTRATOR_API_KEYS for host "0\.0\.0\.0"/,
    ],
    [
      ['dev', '--host', '203.0.113.1'],
      { ORCHESTRATOR_API_KEYS: `${KEY}=acme` },
      /is no address of this machine/,
    ],
    [['serve', '--config', 'nope.mjs'], {}, /--config: expected a file/],
    [['serve'], { ORCHESTRATOR_API_KEYS: KEY }, /expected <key>=<tenant>/],
    [
      ['dev'],
      { ORCHESTRATOR_API_KEYS: `${KEY}=a`, ORCHESTRATOR_OPERATOR_TOKEN: KEY },
      /the token is listed twice/,
    ],
  ])('%j', async (args, env, message) => {
    const ended = await cli(args, { env });
    expect(ended).toMatchObject({ code: 78, stdout: '' });
    expect(ended.stderr).toMatch(message);
    expect(ended.stderr).not.toContain(KEY);
    expect(ended.stderr.trimEnd().split('\n')).toHaveLength(1);
  });

  it('a port in use, without disturbing the process that uses it', async () => {
    await using place = await folder();
    await using dev = await startServer(['dev'], { cwd: place.path });
    const { port } = new URL(dev.url);
    const args = ['dev', '--port', port, '--storage', 'memory:'];
    const { code, stderr } = await cli(args, { cwd: place.path });
    expect(code).toBe(78);
    expect(stderr).toMatch(
      new RegExp(`port ${port} of 127.0.0.1 is in use already.*\\(settings: --port and --host\\)`),
    );
    expect(await cli(['tasks', 'list'], { cwd: place.path })).toMatchObject({ code: 0 });
  });

  it('a folder in use, with what helps', async () => {
    await using place = await folder();
    await using dev = await startServer(['dev'], { cwd: place.path });
    const { code, stderr } = await cli(['serve', '--port', '0'], {
      cwd: place.path,
      env: { ORCHESTRATOR_API_KEYS: `${KEY}=acme` },
    });
    expect(code).toBe(78);
    expect(stderr).toMatch(
      /\.orchestrator\/data: expected a folder that no other process uses, got one of process \d+: .*--storage memory:/,
    );
    expect(await cli(['tasks', 'list'], { cwd: place.path })).toMatchObject({ code: 0 });
    expect(dev.url).toMatch(/^http/);
  });

  it('an agents file that does not exist', async () => {
    await using place = await folder();
    await writeFile(join(place.path, 'orchestrator.config.json'), '{"agentsFile": "nope.json", "port": 0}');
    const { code, stderr } = await cli(['dev'], { cwd: place.path });
    expect([code, stderr]).toEqual([
      78,
      'error: agentsFile: nope.json: expected a file, got nothing there\n',
    ]);
  });
});

describe.concurrent('orchestrator-cli dev', () => {
  it('prints its URL, the generated key, and the next commands', async () => {
    await using place = await folder();
    await using dev = new CliProcess(['dev', '--port', '0'], { cwd: place.path });
    await dev.printed('stderr', /Ctrl-C ends it/);
    expect(dev.stdout).toBe('');
    expect(dev.stderr).toMatch(/listens at http:\/\/127\.0\.0\.1:\d+, tenant "dev"/);
    expect(dev.stderr).toMatch(/export ORCHESTRATOR_API_KEY=dev-\S{43}\n/);
    expect(dev.stderr).toMatch(/npx orchestrator-cli chat "<a question/);
  });

  it('never prints a key that it was given', async () => {
    await using dev = await startServer(['dev'], { env: { ORCHESTRATOR_API_KEYS: `${KEY}=acme` } });
    dev.process.kill('SIGTERM');
    const { stdout, stderr } = await dev.process.ended;
    expect(records(stdout)).toEqual([{ url: dev.url, tenant: 'acme', storage: 'file:.orchestrator/data' }]);
    expect(stdout + stderr).not.toContain(KEY);
  });

  it('starts in a folder that it cannot write to, and warns', async () => {
    await using place = await folder();
    await writeFile(join(place.path, '.orchestrator'), 'a file');
    await using dev = new CliProcess(['dev', '--port', '0', '--storage', 'memory:'], { cwd: place.path });
    await dev.printed('stderr', /commands in this folder will not find this server: EEXIST/);
    await dev.printed('stderr', /orchestrator-cli chat --url http/);
  });
});

describe.concurrent('the folder of a storage', () => {
  it('keeps tasks and sessions of a process that is killed', async () => {
    await using place = await folder();
    const env = { ORCHESTRATOR_API_KEYS: `${KEY}=acme`, ORCHESTRATOR_API_KEY: KEY };
    const ended = async () => {
      await using dev = await startServer(['dev'], { cwd: place.path, env });
      const { code, stdout } = await cli(['sessions', 'list', '--json', '--url', dev.url], {
        cwd: place.path,
        env,
      });
      expect(code).toBe(0);
      const asked = await cli(['chat', 'hello', '--json', '--url', dev.url], { cwd: place.path, env });
      expect(asked.code).toBe(0);
      dev.process.kill('SIGKILL');
      await dev.process.ended;
      return records(stdout);
    };
    expect(await ended()).toHaveLength(0);
    expect(await ended()).toHaveLength(1);
    expect(await ended()).toHaveLength(2);
    const checked = await cli(['storage', 'check', '--json'], { cwd: place.path });
    expect(records(checked.stdout)).toMatchObject([{ contents: { tenants: 1, sessions: 3 } }]);
  });

  it('keeps the documents and the conversation of a process that is killed', async () => {
    await using place = await folder();
    await writeFile(
      join(place.path, 'lamp.md'),
      '# Lamp\n\nNight mode dims the lamp at ten in the evening.\n',
    );
    const run = (...args: string[]) => cli(args, { cwd: place.path });
    const ask = async (...session: string[]) => {
      const { code, stdout } = await run('chat', 'What does night mode do?', ...session);
      expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringContaining('dims the lamp') });
    };
    const before = await startServer(['dev'], { cwd: place.path });
    expect(await run('ingest', 'lamp.md')).toMatchObject({ code: 0 });
    await ask();
    const [session] = records((await run('sessions', 'list', '--json')).stdout);
    before.process.kill('SIGKILL');
    await before.process.ended;
    await using _after = await startServer(['dev'], { cwd: place.path });
    const sessionId = String(session?.['session_id']);
    await ask('--session', sessionId);
    const { stdout } = await run('sessions', 'show', sessionId);
    expect(stdout.match(/What does night mode do\?/g)).toHaveLength(2);
  });

  it('is checked and repaired', async () => {
    await using place = await folder();
    const missing = await cli(['storage', 'check', 'nowhere'], { cwd: place.path });
    expect(missing).toMatchObject({
      code: 78,
      stderr: expect.stringContaining('expected a folder of a storage'),
    });
    const dev = await startServer(['dev'], { cwd: place.path });
    dev.process.kill('SIGTERM');
    await dev.process.ended;
    const check = ['storage', 'check'];
    expect(await cli(check, { cwd: place.path })).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('intact'),
    });
    expect(await cli([...check, 'file:.orchestrator/data'], { cwd: place.path })).toMatchObject({ code: 0 });
    await writeFile(join(place.path, '.orchestrator', 'data', 'log-2'), 'AOF1 damaged at its start');
    await writeFile(join(place.path, '.orchestrator', 'data', 'log-3'), '');
    const damaged = await cli(check, { cwd: place.path });
    expect(damaged).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/log-2: .*\na repair keeps everything before/),
    });
    const refused = await cli(['storage', 'repair'], { cwd: place.path });
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('expected --yes') });
    const repaired = await cli(['storage', 'repair', '--yes'], { cwd: place.path });
    expect(repaired).toMatchObject({ code: 0, stdout: expect.stringContaining('repaired') });
    expect(await cli(check, { cwd: place.path })).toMatchObject({ code: 0 });
  });
});

describe.concurrent('orchestrator-cli demo', () => {
  it('keeps what it did where --storage says', async () => {
    await using place = await folder();
    await writeFile(join(place.path, 'lamp.md'), '# Lamp\n\nNight mode dims the lamp at ten.\n');
    const demo = ['demo', 'lamp.md', '--once', '--port', '0', '--question', 'What does night mode do?'];
    const run = await cli([...demo, '--storage', 'file:kept'], { cwd: place.path });
    expect(run.code).toBe(0);
    const checked = await cli(['storage', 'check', 'kept'], { cwd: place.path });
    expect(checked).toMatchObject({ code: 0, stdout: expect.stringContaining('1 session') });
  });

  it('--once ingests, asks, prints the answer and exits', async () => {
    await using place = await folder();
    const { code, stdout, stderr } = await cli(['demo', '--once', '--port', '0'], { cwd: place.path });
    expect(code).toBe(0);
    expect(stderr).toMatch(
      /1\. orchestrator.*\n2\. ingesting documents\n(?: {2}\d+\/\d+ .*\n)+documents ingested/,
    );
    expect(stderr).toMatch(/3\. asking: /);
    expect(stderr).toMatch(/created: agent_execution/);
    expect(stdout).toMatch(/Sources\n \[1\] /);
  });

  it('with --json prints data about given documents and a given question', async () => {
    await using place = await folder();
    await writeFile(join(place.path, 'a.md'), '# Widget\n\nThe widget has the colour blue.\n');
    const args = [
      'demo',
      'a.md',
      '--once',
      '--json',
      '--port',
      '0',
      '--question',
      'What colour has the widget?',
    ];
    const { code, stdout, stderr } = await cli(args, { cwd: place.path });
    expect([code, stderr]).toEqual([0, '']);
    const [document, answer] = records(stdout);
    expect(document).toMatchObject({ name: 'a.md', status: 'completed' });
    expect(answer).toMatchObject({ status: 'completed', message: { role: 'assistant' } });
  });

  it('keeps serving until it is stopped', async () => {
    await using place = await folder();
    await writeFile(join(place.path, 'a.md'), '# Widget\n\nThe widget is blue.\n');
    await using demo = new CliProcess(['demo', 'a.md', '--port', '0'], { cwd: place.path });
    await demo.printed('stderr', /Ctrl-C ends it/);
    expect(await cli(['tasks', 'list'], { cwd: place.path })).toMatchObject({ code: 0 });
    demo.kill('SIGINT');
    expect(await demo.ended).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(/stopped\n$/) as string,
    });
  });

  it('reports invalid documents', async () => {
    expect(await cli(['demo', 'nope.md', '--once', '--port', '0'])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(
        /refused nope\.md: expected a file or folder, got nothing there/,
      ) as string,
    });
  });
});

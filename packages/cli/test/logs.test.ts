import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { cli, CliProcess, folder, records } from './cli-process.js';

const KEY = 'canary-key-0123456789';
const TOKEN = 'canary-token-0123456789';
const OPERATOR = 'canary-operator-0123456789';
const PAYLOAD = 'canary-payload';

async function place() {
  const made = await folder();
  onTestFinished(() => made[Symbol.asyncDispose]());
  await writeFile(
    join(made.path, 'orchestrator.config.mjs'),
    `export default {
      apiKeys: { '${KEY}': 'acme' },
      serviceTokens: { away: '${TOKEN}' },
      operatorToken: '${OPERATOR}',
      services: { away: { url: 'http://127.0.0.1:9', token: '${TOKEN}' } },
      workflows: {
        fine: async () => '${PAYLOAD}-result',
        sad: async (ctx, input) => ctx.call('away', 'do', input, { retry: { maxAttempts: 1 } }),
      },
    };`,
  );
  return made.path;
}

async function workedServer(cwd: string, env: Record<string, string> = {}) {
  const server = new CliProcess(['serve', '--json', '--port', '0', '--storage', 'memory:'], { cwd, env });
  const [line] = await server.printed('stdout', /^\{.*\}$/m);
  const { url } = JSON.parse(line) as { readonly url: string };
  const headers = { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' };
  for (const type of ['fine', 'sad']) {
    const body = JSON.stringify({ type, payload: { secret: PAYLOAD }, max_attempts: 1 });
    const answer = await fetch(`${url}/v1/tasks`, { method: 'POST', headers, body });
    const { task_id: id } = (await answer.json()) as { readonly task_id: string };
    const stream = await fetch(`${url}/v1/tasks/${id}/events`, { headers });
    await stream.text();
  }
  await fetch(`${url}/v1/tasks`, { headers: { authorization: `Bearer wrong-${KEY}` } });
  await fetch(`${url}/health/live`);
  server.kill('SIGTERM');
  const { code, stderr } = await server.ended;
  expect(code).toBe(0);
  return stderr;
}

it('serve logs JSON lines with level, time and ids, and neither secrets nor payloads', async () => {
  const stderr = await workedServer(await place(), { ORCHESTRATOR_LOG: 'debug' });
  const lines = records(stderr);
  for (const line of lines) {
    expect(line).toMatchObject({
      level: expect.stringMatching(/^(debug|info|warn|error)$/),
      pid: expect.any(Number),
    });
    expect(new Date(line['time'] as string).toISOString()).toBe(line['time']);
  }
  const said = (msg: string) => lines.filter((line) => line['msg'] === msg);
  expect(said('started')).toMatchObject([{ level: 'info', role: 'all', services: ['away'] }]);
  const asked = { method: 'POST', route: '/v1/tasks', status: 202, tenant_id: 'acme' };
  expect(said('request')).toContainEqual(expect.objectContaining({ level: 'info', ...asked }));
  expect(said('request')).toContainEqual(expect.objectContaining({ method: 'GET', status: 401 }));
  expect(said('request')).toContainEqual(expect.objectContaining({ level: 'debug', route: '/health/live' }));
  const ended = { tenant_id: 'acme', task_id: expect.any(String), attempt: 1 };
  expect(said('task ended')).toEqual([
    expect.objectContaining({ level: 'info', ...ended, type: 'fine', outcome: 'completed' }),
    expect.objectContaining({ ...ended, type: 'sad', outcome: 'failed', code: 'service_unavailable' }),
  ]);
  const run = { level: 'debug', type: 'fine', outcome: 'completed', duration_ms: expect.any(Number) };
  expect(said('run ended')).toContainEqual(expect.objectContaining(run));
  expect(said('call failed')).toContainEqual(expect.objectContaining({ level: 'warn', service: 'away' }));
  expect(stderr).not.toContain('canary');
});

it('the log has the level and the format of the settings', async () => {
  const cwd = await place();
  const errors = records(await workedServer(cwd, { ORCHESTRATOR_LOG: 'error' }));
  expect(errors.map(({ level }) => level)).toEqual(['error']);
  const text = await workedServer(cwd, { ORCHESTRATOR_LOG_FORMAT: 'text' });
  expect(text).toMatch(/^info request \{"method":"POST","route":"\/v1\/tasks"/m);
  expect(await workedServer(cwd, { ORCHESTRATOR_LOG: 'silent' })).toBe('');
});

it.each([
  ['ORCHESTRATOR_LOG', 'loud', 'expected debug, info, warn, error, silent'],
  ['ORCHESTRATOR_LOG_FORMAT', 'xml', 'expected json or text'],
])('a wrong %s is refused with what is right', async (name, value, message) => {
  const ended = await cli(['serve'], { cwd: await place(), env: { [name]: value } });
  expect(ended.code).toBe(78);
  expect(ended.stderr).toContain(message);
  expect(ended.stderr).toContain('ORCHESTRATOR_LOG');
});

it('serve makes spans for an SDK that node has imported, with neither secrets nor payloads', async () => {
  const cwd = await place();
  const file = join(cwd, 'traces.ndjson');
  await workedServer(cwd, {
    NODE_OPTIONS: `--import ${new URL('register-traces.mjs', import.meta.url).href}`,
    OTEL_SEMCONV_STABILITY_OPT_IN: 'gen_ai_latest_experimental',
    TRACE_FILE: file,
  });
  const text = await readFile(file, 'utf8');
  const names = new Set(records(text).map(({ name }) => name));
  for (const name of ['POST /v1/tasks', 'submit sad', 'wait sad', 'process sad', 'call away.do', 'POST'])
    expect(names, name).toContain(name);
  expect(text).not.toContain('canary');
});

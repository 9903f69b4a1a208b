import { MemoryStorage, Orchestrator, type Storage } from '@agent-orchestrator/core';
import { RedisStorage } from '@agent-orchestrator/redis-adapter';
import { RedisServer } from '@agent-orchestrator/test-servers';
import { createIdentities, OrchestratorServer } from '@agent-orchestrator/ws-server';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCommandLine } from '../src/main.js';
import { records } from './cli-process.js';
import { fakeTerminal } from './fake-terminal.js';

const operatorToken = 'token-of-the-operator';
let orchestrator: Orchestrator;
let FLAGS: readonly string[];

async function run(args: readonly string[]) {
  const env = { ORCHESTRATOR_OPERATOR_TOKEN: operatorToken };
  const { terminal, stdout, stderr } = fakeTerminal({ cwd: '/', env });
  const code = await runCommandLine(args, terminal, new AbortController().signal);
  return { code, stdout: stdout(), stderr: stderr() };
}

function started(storage: Storage): Orchestrator {
  const made = new Orchestrator({ storage });
  made.workflow('ok', () => 'done');
  made.workflow('sad', () => Promise.reject(new Error('sad')));
  return made;
}

const WORLDS = {
  'on Redis': async () => {
    const server = await RedisServer.start();
    const storage = RedisStorage.connect(server.url);
    orchestrator = started(storage);
    FLAGS = ['--redis', server.url];
    return async () => {
      await storage.close();
      await server.stop();
    };
  },
  'through a server': async () => {
    const storage = new MemoryStorage();
    orchestrator = started(storage);
    const identities = createIdentities({ operatorToken });
    const server = await new OrchestratorServer(orchestrator, { identities }).listen(0);
    FLAGS = ['--url', server.url];
    return async () => {
      await server.stop();
      await storage.close();
    };
  },
};

describe.each(Object.entries(WORLDS))('dead letters %s', (_, open) => {
  let close: () => Promise<void>;
  beforeAll(async () => {
    close = await open();
    await orchestrator.start();
  });
  afterAll(async () => {
    await orchestrator.stop();
    await close();
  });

  const deadLetters = async (tenant: string, count: number) => {
    const { tasks } = orchestrator.tenant(tenant);
    const ids: string[] = [];
    for (let n = 0; n < count; n += 1)
      ids.push((await tasks.submit({ type: 'sad', payload: { n }, max_attempts: 1 })).task_id);
    for (const id of ids) await tasks.wait(id);
    return ids.toReversed();
  };
  const idsOf = (stdout: string) => records(stdout).map(({ task_id }) => task_id);

  it('are listed by code and time, all of them page by page', async () => {
    const ids = await deadLetters('zeta', 3);
    const list = (...more: string[]) => run(['dlq', 'list', '--json', ...FLAGS, '--tenant', 'zeta', ...more]);
    expect(idsOf((await list('--all')).stdout)).toEqual(ids);
    expect(idsOf((await list('--code', 'workflow_error', '--since', '1h', '-n', '2')).stdout)).toEqual(
      ids.slice(0, 2),
    );
    expect((await list('--code', 'timeout')).stdout).toBe('');
    expect((await list('--since', '2999-01-01')).stdout).toBe('');
    const wrong = await list('--since', 'yesterday');
    expect([wrong.code, wrong.stderr]).toMatchObject([2, expect.stringContaining('30m, 1h or 2d')]);
    expect((await list('--all', '-n', '2')).code).toBe(2);
  });

  it('are named by the beginning of their ids; several candidates are listed', async () => {
    const [id = ''] = await deadLetters('eta', 1);
    const tenant = [...FLAGS, '--tenant', 'eta'];
    const short = id.slice(0, 8);
    expect(idsOf((await run(['dlq', 'show', short, '--json', ...tenant])).stdout)).toEqual([id]);
    expect((await run(['tasks', 'why', short, ...tenant])).stdout).toContain(`task ${id}: sad`);
    const other = `${short}-1111-4111-8111-111111111111`;
    await orchestrator.tenant('eta').tasks.submit({ type: 'ok', task_id: other });
    const { code, stderr } = await run(['dlq', 'show', short, ...tenant]);
    expect([code, stderr]).toEqual([
      2,
      `error: "${short}" is the beginning of several ids, ${other}, ${id}: expected more of it\n`,
    ]);
    expect((await run(['dlq', 'show', id.slice(0, 3), ...tenant])).code).toBe(2);
    const unknown = await run(['dlq', 'show', id.startsWith('0') ? '1234' : '0000', ...tenant]);
    expect([unknown.code, unknown.stderr]).toMatchObject([3, expect.stringContaining('newest 10,000')]);
  });

  it('are discarded by id or filter, only after --yes', async () => {
    const [first = '', second = ''] = await deadLetters('theta', 3);
    const discard = (...more: string[]) => run(['dlq', 'discard', ...FLAGS, '--tenant', 'theta', ...more]);
    expect((await discard('--all', '--dry-run')).stdout).toBe('3 would be removed\n');
    const refused = await discard(first);
    expect([refused.code, refused.stderr]).toMatchObject([2, expect.stringContaining('--yes')]);
    expect((await discard(first, second.slice(0, 8), '--yes')).stdout).toBe('2 of 2 removed\n');
    const again = await discard(first, '--yes');
    expect([again.code, again.stdout]).toEqual([3, '0 of 0 removed\n']);
    expect((await discard('--all', '--code', 'timeout', '--yes')).stdout).toBe('0 of 0 removed\n');
    const all = await discard('--all', '--type', 'sad', '--since', '1d', '--yes', '--json');
    expect(records(all.stdout)).toEqual([{ matched: 1, done: 1 }]);
    for (const wrong of [[], [first, '--all'], [first, '--code', 'timeout']])
      expect((await discard(...wrong, '--yes')).code, wrong.join(' ')).toBe(2);
  });

  it('are redriven with another payload', async () => {
    const [id = ''] = await deadLetters('iota', 1);
    await orchestrator.tenants.pause('iota');
    const redrive = (...more: string[]) =>
      run(['dlq', 'redrive', id, '--json', ...FLAGS, '--tenant', 'iota', ...more]);
    const first = await redrive('--payload', '{"mended":true}');
    expect(records(first.stdout)).toMatchObject([{ redriven_from: id, payload: { mended: true } }]);
    expect((await redrive('--payload', '{"mended":1}')).code).toBe(1);
    expect((await redrive('--payload', '{')).code).toBe(2);
  });

  it('are run again all at once, and counted once', async () => {
    await deadLetters('kappa', 3);
    await orchestrator.tenants.pause('kappa');
    const all = () => run(['dlq', 'redrive', '--all', ...FLAGS, '--tenant', 'kappa']);
    expect(await all()).toMatchObject({ code: 0, stdout: '3 of 3 run again\n' });
    expect(await all()).toMatchObject({ code: 0, stdout: '0 of 3 run again\n' });
  });
});

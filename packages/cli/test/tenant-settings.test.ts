import { MemoryStorage, Orchestrator } from '@agent-orchestrator/core';
import { createIdentities, OrchestratorServer } from '@agent-orchestrator/ws-server';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runCommandLine } from '../src/main.js';
import { records } from './cli-process.js';
import { fakeTerminal } from './fake-terminal.js';

const OPERATOR = 'token-of-the-operator';
const KEY = 'key-of-acme-1';

let orchestrator: Orchestrator;
let server: OrchestratorServer;

beforeEach(async () => {
  orchestrator = new Orchestrator({ storage: new MemoryStorage(), prices: { '*': { prompt: 2 } } });
  const identities = createIdentities({
    operatorToken: OPERATOR,
    apiKeys: [{ key: KEY, tenant: 'acme' }],
  });
  server = await new OrchestratorServer(orchestrator, { identities }).listen(0);
});
afterEach(() => server.stop());

async function run(...args: string[]) {
  const env = { ORCHESTRATOR_OPERATOR_TOKEN: OPERATOR, ORCHESTRATOR_API_KEY: KEY };
  const { terminal, stdout, stderr } = fakeTerminal({ cwd: '/', env });
  const code = await runCommandLine(
    [...args, '--url', server.url],
    terminal,
    new AbortController().signal,
    {},
  );
  return { code, stdout: stdout(), stderr: stderr() };
}

describe('orchestrator-cli tenants set', () => {
  it('sets every setting, and "none" is the default again', async () => {
    const set = await run(
      ...['tenants', 'set', 'acme', '--create', '--weight', '3', '--max-running', '4'],
      ...['--max-waiting', '1000', '--max-stored', '512MiB', '--retention', '12h', '--types', 'echo,chat'],
      ...[
        '--services',
        'query',
        '--budget',
        'day:tokens=100000',
        '--budget',
        'month:tokens=1000000,cost=20.5',
      ],
      ...['--calls-per-minute', 'query=60,*=600', '--tokens-per-minute', 'gpt-5=100000', '--burst', '7'],
    );
    expect(set).toMatchObject({ code: 0, stderr: '' });
    const json = await run('tenants', 'show', 'acme', '--json');
    expect(records(json.stdout)).toMatchObject([
      {
        weight: 3,
        max_running: 4,
        max_waiting: 1_000,
        max_stored_bytes: 512 * 2 ** 20,
        retention_ms: 12 * 3_600_000,
        types: ['echo', 'chat'],
        services: ['query'],
        budgets: [
          { period: 'day', tokens: 100_000 },
          { period: 'month', tokens: 1_000_000, cost: 20.5 },
        ],
        rates: {
          requests_per_minute: null,
          burst: 7,
          calls_per_minute: { query: 60, '*': 600 },
          tokens_per_minute: { 'gpt-5': 100_000 },
        },
      },
    ]);
    const { stdout } = await run('tenants', 'show', 'acme');
    expect(stdout).toMatch(/^tenant acme: 0 ready, 0 running; 0 pending,/);
    expect(stdout).toMatch(/^budgets +day 100000 tokens, month 1000000 tokens cost 20\.5$/m);
    expect(stdout).toMatch(/^calls per minute +query=60, \*=600$/m);
    expect(stdout).toMatch(/^requests per minute +default$/m);
    await run('tenants', 'set', 'acme', '--budget', 'none', '--types', 'none', '--calls-per-minute', 'none');
    const after = records((await run('tenants', 'show', 'acme', '--json')).stdout);
    expect(after).toMatchObject([
      { budgets: null, types: null, rates: { calls_per_minute: null, burst: 7 } },
    ]);
  });

  it.each<[string[], string]>([
    [['--max-stored', '5TB'], '--max-stored: expected bytes, such as 512MiB or 4GiB, got "5TB"'],
    [['--retention', '5'], '--retention: expected a duration such as 90s, 15m, 12h or 7d, got "5"'],
    [
      ['--budget', 'week:tokens=1'],
      '--budget: expected <day|month>:<tokens=n|cost=n>, such as month:tokens=1000000,cost=20, got "week:tokens=1"',
    ],
    [
      ['--calls-per-minute', 'query'],
      '--calls-per-minute: expected <name>=<number>, such as query=60, got "query"',
    ],
  ])('%j exits with 2', async (args, message) => {
    const { code, stdout, stderr } = await run('tenants', 'set', 'acme', ...args);
    expect([code, stdout, stderr]).toEqual([2, '', `error: ${message}\n`]);
  });
});

describe('orchestrator-cli usage', () => {
  it('sums what the tenant has used, with its key and as an operator', async () => {
    const used = { tenant: 'acme', operation: 'complete', metadata: { service: 'query', user_id: 'ana' } };
    await orchestrator.usage.trackTokenUsage({ ...used, tokens: 1_500_000, model: 'm', tokenType: 'prompt' });
    await orchestrator.usage.trackTokenUsage({ ...used, tokens: 500_000, model: 'n', metadata: {} });
    const day = new Date().toISOString().slice(0, 10);
    const { stdout } = await run('usage');
    expect(stdout.split('\n').map((line) => line.trimEnd().split(/ {2,}/))).toEqual([
      ['day', 'model', 'operation', 'tokens', 'prompt tokens', 'requests', 'cost'],
      [day, 'm', 'query.complete', '1500000', '1500000', '1', '3'],
      [day, 'n', 'complete', '500000', '0', '1', '1'],
      [''],
    ]);
    const byUser = records((await run('usage', '--by', 'user', '--tenant', 'acme', '--json')).stdout);
    expect(byUser).toEqual([
      { user: 'ana', tokens: 1_500_000, requests: 1, saved_tokens: 0, prompt_tokens: 1_500_000, cost: 3 },
      { user: '', tokens: 500_000, requests: 1, saved_tokens: 0, cost: 1 },
    ]);
    expect((await run('usage', '--to', '2020-01-01')).stdout).toBe('nothing was used in this time\n');
  });

  it.each<[string[], number, RegExp]>([
    [['--by', 'week'], 2, /^error: --by: expected some of day, model, .*, got "week"\n$/],
    [['--from', 'yesterday'], 2, /from/],
  ])('%j exits with %d', async (args, expected, message) => {
    const { code, stdout, stderr } = await run('usage', ...args);
    expect([code, stdout]).toEqual([expected, '']);
    expect(stderr).toMatch(message);
  });
});

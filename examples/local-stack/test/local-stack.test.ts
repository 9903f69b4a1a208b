import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JsonObject, JsonValue } from '@agent-orchestrator/core';
import { afterAll, describe, expect, test } from 'vitest';
import { DEFAULT_AGENTS } from '../src/index.js';
import { startStack } from './direct-gateway.js';

const stack = startStack({ now: () => new Date('2026-11-22T15:04:05Z') });
afterAll(() => stack.stop());

const number = { type: 'number' };
const twoNumbers = {
  type: 'object',
  properties: { amount: number, rate: number },
  required: ['amount', 'rate'],
  additionalProperties: false,
};

describe('the conversation service', () => {
  const append = (content: string, tenant = 'acme', role = 'user') =>
    stack.call('conversation', 'append_message', { session_id: 's', role, content }, tenant);
  const context = (limit?: number, tenant = 'acme') =>
    stack.call(
      'conversation',
      'get_context',
      { session_id: 's', ...(limit !== undefined && { limit }) },
      tenant,
    );

  test('keeps messages in order, returns the last ones and a summary of earlier ones', async () => {
    for (const content of ['one', 'two', 'three']) await append(content);
    const all = await context();
    expect((all['messages'] as JsonObject[]).map(({ content }) => content)).toEqual(['one', 'two', 'three']);
    expect(all).not.toHaveProperty('summary');
    expect(await context(1)).toMatchObject({
      messages: [{ role: 'user', content: 'three' }],
      summary: '2 earlier messages; the user asked “one”, “two”.',
    });
    expect(await context(20, 'other')).toEqual({ messages: [] });
  });

  test('keeps a bounded number of messages', async () => {
    for (let n = 0; n < 1_010; n += 1) await append(`m${n}`, 'busy');
    const { messages, summary } = await context(1_000, 'busy');
    expect(messages).toHaveLength(1_000);
    expect(summary).toMatch(/^10 earlier messages/);
  });

  test('refuses an unknown role', async () => {
    await expect(append('x', 'acme', 'robot')).rejects.toMatchObject({ code: 'invalid_request' });
  });
});

describe('agents of the local stack', () => {
  const agents = (operation: string, input: JsonValue, tenant = 'acme') =>
    stack.call('agent_management', operation, input, tenant);

  test('are added, replaced and deleted at run time, per tenant', async () => {
    const support = { agent_id: 'support', name: 'Support', tools: ['calculator'] };
    await agents('put_agent', support);
    await agents('put_agent', { ...support, name: 'Help desk' });
    expect(await agents('get_agent', { agent_id: 'support' })).toMatchObject({
      name: 'Help desk',
      tools: ['calculator'],
    });
    await expect(agents('get_agent', { agent_id: 'support' }, 'other')).rejects.toMatchObject({
      code: 'not_found',
    });
    await agents('delete_agent', { agent_id: 'support' });
    await expect(agents('delete_agent', { agent_id: 'support' })).rejects.toMatchObject({
      code: 'not_found',
    });
  });

  test('that are built in can be deleted for one tenant', async () => {
    await agents('delete_agent', { agent_id: 'researcher' }, 'fewer');
    expect((await agents('list_agents', {}, 'fewer'))['agents']).toHaveLength(DEFAULT_AGENTS.length - 1);
    expect((await agents('list_agents', {}))['agents']).toHaveLength(DEFAULT_AGENTS.length);
  });

  test('are read from a file', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'agents-'));
    const agentsFile = join(folder, 'agents.json');
    try {
      await writeFile(agentsFile, '{"agents":[{"agent_id":"only","name":"Only"}]}');
      const list = await startStack({ agentsFile }).call('agent_management', 'list_agents', {});
      expect(list).toEqual({
        agents: [
          { agent_id: 'only', name: 'Only', instructions: 'Answer helpfully and briefly.', tools: [] },
        ],
      });
      await writeFile(agentsFile, '{"agents":[{"agent_id":"no id!","name":"x"}]}');
      await expect(startStack({ agentsFile }).call('agent_management', 'list_agents', {})).rejects.toThrow(
        /agents file .* at "agents.0.agent_id"/,
      );
    } finally {
      await rm(folder, { recursive: true });
    }
    const sample = new URL('../agents.json', import.meta.url).pathname;
    expect(
      (await startStack({ agentsFile: sample }).call('agent_management', 'list_agents', {}))['agents'],
    ).not.toHaveLength(0);
  });

  test('without tools use none', async () => {
    const { steps } = await stack.ask('2+2', { agent: { agent_id: 'plain', tools: [] } });
    expect(steps).toMatchObject([{ service: 'query' }]);
  });
});

describe('tools of the local stack', () => {
  const registry = (operation: string, input: JsonValue, tenant = 'acme') =>
    stack.call('tool_registry', operation, input, tenant);

  test('are listed with their JSON Schema', async () => {
    const { tools } = (await registry('list_tools', {})) as { tools: JsonObject[] };
    expect(tools.map(({ name }) => name)).toEqual([
      'calculator',
      'date_time',
      'text_statistics',
      'document_search',
    ]);
    expect(tools[0]).toMatchObject({ parameters: { type: 'object', required: ['expression'] } });
  });

  test.each<[string, JsonObject, string]>([
    ['calculator', {}, 'arguments of "calculator" at "expression": expected a value, got nothing'],
    ['calculator', { expression: 5 }, 'arguments of "calculator" at "expression": expected string, got 5'],
    [
      'calculator',
      { expression: '1', more: 1 },
      'arguments of "calculator" at "more": expected no such argument, got one',
    ],
    [
      'date_time',
      { operation: 'fly' },
      'arguments of "date_time" at "operation": expected one of now, difference, add, weekday, got "fly"',
    ],
    [
      'date_time',
      { operation: 'add', date: 'today' },
      'arguments of "date_time" at "amount": expected a value, got nothing',
    ],
  ])('refuse invalid arguments: %s with %j', async (name, args, message) => {
    await expect(registry('execute_tool', { name, arguments: args })).rejects.toMatchObject({
      code: 'invalid_request',
      message,
    });
  });

  test('can be registered as a formula, and are found in free wording', async () => {
    const vat = {
      name: 'vat',
      description: 'Value added tax.',
      parameters: twoNumbers,
      expression: 'amount * rate / 100',
    };
    await registry('register_tool', vat);
    expect(
      await registry('execute_tool', { name: 'vat', arguments: { amount: 200, rate: 21 } }),
    ).toMatchObject({ output: { value: 42 } });
    const agent = { agent_id: 'a', tools: ['vat', 'calculator'] };
    for (const question of [
      'use vat with amount=200 and rate=21',
      'What is the vat for amount 200, rate 21?',
      'vat {"amount": 200, "rate": 21}',
    ]) {
      expect((await stack.ask(question, { agent })).content).toBe('vat: 42');
    }
    await expect(registry('execute_tool', { name: 'vat', arguments: {} }, 'other')).rejects.toMatchObject({
      code: 'not_found',
    });
  });

  test('can be operations of services', async () => {
    const delegate = { service: 'conversation', operation: 'get_context' };
    const parameters = {
      type: 'object',
      properties: { session_id: { type: 'string' } },
      required: ['session_id'],
    };
    await registry('register_tool', {
      name: 'history',
      description: 'History.',
      parameters,
      delegate,
      agents: ['historian'],
    });
    expect(await registry('execute_tool', { name: 'history', arguments: { session_id: 'none' } })).toEqual({
      output: { messages: [] },
    });
    const namesFor = async (agent_id: string) =>
      ((await registry('list_tools', { agent_id }))['tools'] as JsonObject[]).map(({ name }) => name);
    expect(await namesFor('historian')).toContain('history');
    expect(await namesFor('assistant')).not.toContain('history');
  });

  test.each<[JsonObject, RegExp]>([
    [{ name: 'calculator', expression: '1' }, /built-in/],
    [{ expression: '1 +' }, /position/],
    [{ expression: 'unknown * 2' }, /got "unknown"/],
    [{}, /expected either "expression" or "delegate", got none/],
    [{ delegate: { service: 'agent_execution', operation: 'run' } }, /calls no tools/],
    [{ expression: '1', parameters: { type: 'string' } }, /"type": "object"/],
    [
      { expression: '1', parameters: { type: 'object', properties: { a: { type: 'strange' } } } },
      /with a mistake/,
    ],
    [
      {
        expression: '1',
        parameters: { type: 'object', properties: { a: { type: 'string', pattern: '(a+)+$' } } },
      },
      /"pattern" is not supported/,
    ],
  ])('refuse an invalid registration: %j', async (tool, message) => {
    const whole = { name: 'mine', description: 'Mine.', parameters: twoNumbers, ...tool };
    await expect(registry('register_tool', whole)).rejects.toThrow(message);
  });

  test('are limited in number', async () => {
    const tool = { description: 'x', parameters: twoNumbers, expression: 'amount' };
    for (let n = 0; n < 200; n += 1) await registry('register_tool', { ...tool, name: `t${n}` }, 'many');
    await expect(registry('register_tool', { ...tool, name: 'more' }, 'many')).rejects.toMatchObject({
      code: 'budget_exceeded',
      message: 'expected at most 200 tools, there are 200',
    });
    await registry('register_tool', { ...tool, name: 't0' }, 'many');
  });
});

describe('the ingestion service', () => {
  test('reports progress, and embeds in batches', async () => {
    const sections = Array.from({ length: 70 }, (_, at) => `## Part ${at}\n\nText of part ${at}.`).join(
      '\n\n',
    );
    const result = await stack.ingest('long.md', sections, { tenant: 'long' });
    expect(result).toMatchObject({ chunks: 70 });
    const statuses = stack.gateway
      .notifierFor('ingestion')
      .statuses.filter(({ tenant_id }) => tenant_id === 'long');
    expect(statuses.map(({ details }) => details?.['percent'])).toEqual([0, 46, 91, 100]);
    expect(stack.gateway.calls.filter((call) => call === 'long embedding.embed')).toHaveLength(3);
  });

  test.each([
    ['a.pdf', '%PDF', undefined, /expected one of text\/markdown, text\/plain, text\/html, got "none"/],
    ['a.md', 'x', 'application/pdf', /got "application\/pdf"/],
    ['a.md', ' \n ', undefined, /got an empty document/],
    ['a.md', 'PK\u0003\u0004\0\0', undefined, /expected text, got binary data/],
    ['a.html', '<script>x</script>', undefined, /got only headings or markup/],
  ])('refuses %s', async (name, content, media_type, message) => {
    const options = media_type === undefined ? {} : { media_type };
    await expect(stack.ingest(name, content, options)).rejects.toThrow(message);
  });

  test('accepts a media type with parameters', async () => {
    expect(
      await stack.ingest('page', '<h1>T</h1><p>Text', {
        media_type: 'Text/HTML; charset=utf-8',
        tenant: 'html',
      }),
    ).toMatchObject({ chunks: 1 });
  });
});

describe('workflows of the local stack', () => {
  const engine = (operation: string, input: JsonValue, tenant = 'flows') =>
    stack.call('workflow_engine', operation, input, tenant);

  test('ingest several documents', async () => {
    const documents = [
      { name: 'a.md', content: 'The hub listens on port 7000.' },
      { name: 'b.txt', content: 'The worker needs 2 GB of memory.' },
    ];
    const result = await engine('run_workflow', { workflow: 'ingestion', input: { documents } });
    expect(result).toMatchObject({
      documents: [
        { name: 'a.md', chunks: 1 },
        { name: 'b.txt', chunks: 1 },
      ],
    });
    expect(
      (await stack.ask('How much memory does the worker need?', { tenant: 'flows' })).sources,
    ).toMatchObject([{ title: 'b.txt' }]);
  });

  test('answer with tools and documents, stage by stage', async () => {
    const agent = await stack.call('agent_management', 'get_agent', { agent_id: 'researcher' }, 'flows');
    const ask = async (message: string) => {
      const identified = await engine('identify_workflow', { message, agent });
      expect(identified['workflow']).toBe('tool_workflow');
      return engine('run_workflow', identified);
    };
    expect(await ask('What is 6 times 7?')).toMatchObject({
      content: '6 * 7 = 42',
      steps: [{ tool: 'calculator' }, { service: 'query' }],
    });
    expect(await ask('Which port does the hub listen on?')).toMatchObject({
      sources: [{ title: 'a.md' }],
      steps: [{ service: 'query' }],
    });
  });

  test('are refused if unknown', async () => {
    await expect(engine('run_workflow', { workflow: 'fly', input: {} })).rejects.toMatchObject({
      code: 'unknown_workflow',
    });
    await expect(
      engine('identify_workflow', { message: 'x', agent: { workflow: 'toString' } }),
    ).rejects.toMatchObject({ code: 'unknown_workflow' });
  });
});

describe('the embedding service', () => {
  const embed = (input: JsonValue) => stack.call('embedding', 'embed', input);

  test('returns vectors of length 1, similar for similar texts', async () => {
    const { vectors, dimensions } = (await embed({
      texts: ['configure the timeout', 'timeout configuration', 'purple elephants'],
    })) as { vectors: number[][]; dimensions: number };
    const product = (a = 0, b = 0) =>
      (vectors[a] ?? []).reduce((sum, value, at) => sum + value * (vectors[b]?.[at] ?? 0), 0);
    expect(dimensions).toBe(256);
    expect(product(0, 0)).toBeCloseTo(1, 2);
    expect(product(0, 1)).toBeGreaterThan(product(0, 2) + 0.3);
  });

  test('takes 1 to 32 texts, and only the model that it has', async () => {
    await expect(embed({ texts: [] })).rejects.toMatchObject({ code: 'invalid_request' });
    await expect(embed({ texts: Array.from({ length: 33 }, () => 'x') })).rejects.toMatchObject({
      code: 'invalid_request',
    });
    await expect(embed({ texts: ['x'], model: 'gpt' })).rejects.toThrow(
      'model: expected "hashed-ngrams-256" or none, got "gpt"',
    );
  });
});

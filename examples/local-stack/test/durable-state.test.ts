import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EntryFolder, type JsonObject, type JsonValue, OrchestratorError } from '@agent-orchestrator/core';
import type { EntryStore } from '@agent-orchestrator/core/storage';
import { RedisEntryStore } from '@agent-orchestrator/redis-adapter';
import { sharedRedis } from '@agent-orchestrator/test-servers';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { type OpenStore, restoreServices, serviceDefinitions } from '../src/index.js';
import { type Stack, startStack } from './direct-gateway.js';

let root = '';
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'durable-state-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

let folders = 0;

/** Stores in a new folder. */
function newStores(): OpenStore {
  folders += 1;
  const folder = join(root, String(folders));
  return (service) => EntryFolder.open(join(folder, service));
}

/** Stores on a Redis, with keys of their own. */
async function newRedisStores(): Promise<OpenStore> {
  const { url } = await sharedRedis();
  const prefix = `test-${randomUUID()}`;
  return async (service) => RedisEntryStore.connect(url, { service, prefix });
}

interface Durable {
  readonly stack: Stack;
  readonly close: () => Promise<void>;
}

async function start(open: OpenStore): Promise<Durable> {
  const definitions = serviceDefinitions({ embedding: 'hashed' });
  const stores = await restoreServices(definitions, open);
  const stack = startStack({ definitions });
  const close = async () => {
    await stack.stop();
    await stores.close();
  };
  onTestFinished(close);
  return { stack, close };
}

const SIGNAL = new AbortController().signal;

async function keysOf(open: OpenStore, service: string): Promise<string[]> {
  const store = await open(service, { signal: SIGNAL });
  const keys: string[] = [];
  for await (const { key } of store.entries({ signal: SIGNAL })) keys.push(key);
  await store.close();
  return keys;
}

const lamp = '# Lamp\n\n## Night mode\n\nNight mode dims the lamp at ten in the evening.';
const chunk = (position: number, text = `Part ${position} of the manual.`) => ({
  position,
  heading: ['Manual'],
  text,
  vector: [0.6, 0.8, position / 7],
});
const staged = (documentId: string, positions: readonly number[], total: number, name = documentId) => ({
  document_id: documentId,
  name,
  media_type: 'text/plain',
  embedding_model: 'none',
  total,
  chunks: positions.map((position) => chunk(position)),
});

const robot = { agent_id: 'robot', name: 'Robot', instructions: 'Be brief.' };
const area = {
  name: 'area',
  description: 'Area of a circle.',
  parameters: { type: 'object', properties: { radius: { type: 'number' } }, required: ['radius'] },
  expression: '3 * radius ^ 2',
};
const message = (content: string) => ({ session_id: 's', role: 'user', content });

/** What a client can see of the state of all services. */
async function visible(stack: Stack): Promise<JsonObject> {
  const [agents, tools, context, documents, found] = [
    await stack.call('agent_management', 'list_agents', {}),
    await stack.call('tool_registry', 'list_tools', {}),
    await stack.call('conversation', 'get_context', { session_id: 's', limit: 1_000 }),
    await stack.call('query', 'list_documents', {}),
    await stack.call('query', 'search', { question: 'What does night mode do with the lamp?' }),
  ];
  const { content } = await stack.ask('When does night mode dim the lamp?');
  return { agents, tools, context, documents, found, content };
}

async function change(stack: Stack): Promise<void> {
  await stack.call('agent_management', 'put_agent', { ...robot, name: 'First' });
  await stack.call('agent_management', 'put_agent', robot);
  await stack.call('agent_management', 'put_agent', { ...robot, agent_id: 'another' });
  await stack.call('agent_management', 'put_agent', { ...robot, agent_id: 'gone' });
  await stack.call('agent_management', 'delete_agent', { agent_id: 'gone' });
  await stack.call('agent_management', 'delete_agent', { agent_id: 'researcher' });
  await stack.call('tool_registry', 'register_tool', area);
  for (const content of ['one', 'two', 'three'])
    await stack.call('conversation', 'append_message', message(content));
  await stack.ingest('lamp.md', '# Lamp\n\nAn old text on the lamp, without any mode.');
  await stack.ingest('lamp.md', lamp);
  await stack.ingest('radio.md', '# Radio\n\nThe radio plays at noon.');
  const { documents } = await stack.call('query', 'list_documents', {});
  const radio = (documents as JsonObject[]).find(({ name }) => name === 'radio.md');
  await stack.call('query', 'delete_document', { document_id: radio?.['document_id'] ?? '' });
}

describe('the state of the services', () => {
  test.each([
    ['a folder', newStores],
    ['a Redis', newRedisStores],
  ] as const)('is there after a restart, in %s', async (_, storesOf) => {
    const stores = await storesOf();
    const first = await start(stores);
    await change(first.stack);
    const before = await visible(first.stack);
    expect(before['content']).toContain('ten in the evening');
    await first.close();
    const second = await start(stores);
    expect(await visible(second.stack)).toEqual(before);
    expect(
      await second.stack.call('tool_registry', 'execute_tool', { name: 'area', arguments: { radius: 2 } }),
    ).toMatchObject({ output: { value: 12 } });
    // Ingested again, a document is replaced.
    await second.stack.ingest('lamp.md', lamp);
    const { documents } = await second.stack.call('query', 'list_documents', {});
    expect((documents as JsonObject[]).map(({ name }) => name)).toEqual(['lamp.md']);
  });

  test('keeps tenants apart after a restart', async () => {
    const stores = newStores();
    const first = await start(stores);
    await first.stack.call('agent_management', 'put_agent', robot, 'acme');
    await first.close();
    const { stack } = await start(stores);
    const get = (tenant: string) =>
      stack.call('agent_management', 'get_agent', { agent_id: 'robot' }, tenant);
    await expect(get('acme')).resolves.toMatchObject({ name: 'Robot' });
    await expect(get('other')).rejects.toMatchObject({ code: 'not_found' });
  });

  test('goes on with a document that was staged in part, and shows it once it is complete', async () => {
    const stores = newStores();
    const first = await start(stores);
    await first.stack.call('query', 'index_chunks', staged('manual', [2, 0], 3));
    await first.close();
    const second = await start(stores);
    expect(await second.stack.call('query', 'list_documents', {})).toEqual({ documents: [] });
    expect(await second.stack.call('query', 'index_chunks', staged('manual', [1], 3))).toMatchObject({
      complete: true,
    });
    const found = await second.stack.call('query', 'list_documents', {});
    expect(found).toMatchObject({ documents: [{ document_id: 'manual', chunks: 3 }] });
    await second.close();
    const third = await start(stores);
    expect(await third.stack.call('query', 'list_documents', {})).toEqual(found);
  });

  test('leaves no entries of replaced, deleted and forgotten documents', async () => {
    const stores = newStores();
    const { stack, close } = await start(stores);
    const stage = (input: JsonValue) => stack.call('query', 'index_chunks', input);
    await stage(staged('old', [0, 1], 2, 'manual.txt'));
    await stage(staged('new', [0], 1, 'manual.txt'));
    await stage(staged('deleted', [0], 1));
    await stack.call('query', 'delete_document', { document_id: 'deleted' });
    for (let at = 0; at < 25; at += 1) await stage(staged(`part-${at}`, [0], 2));
    await close();
    const keys = await keysOf(stores, 'query');
    const kept = Array.from({ length: 20 }, (_, at) => `part-${at + 5}`);
    const expected = ['new', ...kept].flatMap((id) => [`document/${id}`, `chunk/0/${id}`]);
    expect(keys.toSorted()).toEqual(expected.toSorted());
  });

  test('has a bounded number of messages, and counts the forgotten ones', async () => {
    const stores = newStores();
    const first = await start(stores);
    const append = (at: number) => first.stack.call('conversation', 'append_message', message(`m${at}`));
    // One after the other: appended at once, they would have no order.
    for (let at = 0; at < 1_005; at += 1) await append(at);
    await first.close();
    expect(await keysOf(stores, 'conversation')).toHaveLength(1_000);
    const { stack } = await start(stores);
    const context = await stack.call('conversation', 'get_context', { session_id: 's', limit: 1_000 });
    const contents = (context['messages'] as JsonObject[]).map(({ content }) => content);
    expect([contents.at(0), contents.at(-1)]).toEqual(['m5', 'm1004']);
    expect(context['summary']).toMatch(/^5 earlier messages/);
  });
});

/** Stores that refuse every put while `isAway`. */
function failing(open: OpenStore): { readonly open: OpenStore; isAway: boolean } {
  const stores = {
    isAway: false,
    async open(service: string, options: { readonly signal: AbortSignal }): Promise<EntryStore> {
      const store = await open(service, options);
      return {
        entries: (params) => store.entries(params),
        put: async (params) => {
          if (stores.isAway) throw new OrchestratorError('storage_unavailable', 'the disk has no room');
          await store.put(params);
        },
        close: () => store.close(),
      };
    },
  };
  return stores;
}

describe('a change that could not be stored', () => {
  test('is refused, and has changed nothing', async () => {
    const stores = failing(newStores());
    const { stack, close } = await start(stores.open);
    await change(stack);
    const before = await visible(stack);
    const { documents } = before['documents'] as { documents: JsonObject[] };
    const changes: readonly (readonly [string, string, JsonValue])[] = [
      ['agent_management', 'put_agent', { ...robot, name: 'Other' }],
      ['agent_management', 'delete_agent', { agent_id: 'robot' }],
      ['agent_management', 'delete_agent', { agent_id: 'assistant' }],
      ['tool_registry', 'register_tool', { ...area, name: 'other' }],
      ['conversation', 'append_message', message('lost')],
      ['conversation', 'append_message', { ...message('lost'), session_id: 'new' }],
      ['query', 'index_chunks', staged('manual', [0], 1)],
      ['query', 'index_chunks', staged('manual', [0], 1, 'lamp.md')],
      ['query', 'delete_document', { document_id: documents[0]?.['document_id'] ?? '' }],
    ];
    stores.isAway = true;
    for (const [service, operation, input] of changes) {
      const refused = stack.call(service, operation, input);
      await expect(refused, operation).rejects.toMatchObject({
        code: 'storage_unavailable',
        retryable: true,
      });
    }
    expect(await visible(stack)).toEqual(before);
    stores.isAway = false;
    await close();
    const { stack: again } = await start(stores.open);
    expect(await visible(again)).toEqual(before);
    for (const [service, operation, input] of changes) await again.call(service, operation, input);
  });
});

describe('a repeated call', () => {
  test('appends a message once, in the next process too', async () => {
    const stores = newStores();
    const call = {
      call_id: '00000000-0000-4000-8000-000000000001',
      task_id: '00000000-0000-4000-8000-000000000002',
      tenant_id: 'acme',
      session_id: undefined,
      operation: 'append_message',
      input: message('once'),
      attempt: 1,
      metadata: {},
    };
    const run = ({ stack }: Durable) => stack.services['conversation']?.run(call, { signal: SIGNAL });
    const first = await start(stores);
    const answer = await run(first);
    await first.close();
    const second = await start(stores);
    expect(await run(second)).toEqual(answer);
    const { messages } = await second.stack.call('conversation', 'get_context', { session_id: 's' });
    expect(messages).toHaveLength(1);
  });
});

describe('restoreServices', () => {
  test('refuses entries that are not of the service, with key and reason, and closes all stores', async () => {
    const stores = newStores();
    const store = await stores('query', { signal: SIGNAL });
    await store.put({ tenantId: 'acme', changes: [{ key: 'document/a', value: { name: 5 } }] });
    await store.close();
    await expect(start(stores)).rejects.toMatchObject({
      code: 'internal_error',
      message: expect.stringMatching(
        /^state of the service "query": entry "document\/a" of tenant "acme" .* "document_id": expected/,
      ),
    });
    for (const name of ['conversation', 'query']) await (await stores(name, { signal: SIGNAL })).close();
  });

  test('names the service whose store cannot be opened', async () => {
    const stores = newStores();
    const held = await stores('tool_registry', { signal: SIGNAL });
    await expect(start(stores)).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringMatching(/^state of the service "tool_registry": .* no other process uses/),
    });
    await held.close();
    const { close } = await start(stores);
    await close();
  });

  test('opens stores of services with state only', async () => {
    const opened: string[] = [];
    const open = newStores();
    const { close } = await start((service, options) => {
      opened.push(service);
      return open(service, options);
    });
    await close();
    expect(opened.toSorted()).toEqual(['agent_management', 'conversation', 'query', 'tool_registry']);
  });
});

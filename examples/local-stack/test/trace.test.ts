import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Orchestrator } from '@agent-orchestrator/core';
import { createIdentities, OrchestratorServer } from '@agent-orchestrator/ws-server';
import { InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-node';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type ServiceProcess, serviceDefinitions, startServiceProcess } from '../src/index.js';
import { spanTree } from './span-tree.js';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const TRACEPARENT = `00-${TRACE}-b7ad6b7169203331-01`;
const CANARIES = {
  key: 'canary-key-1',
  service: 'canary-service-',
  model: 'canary-model',
  text: 'canary-text',
};
const exporter = new InMemorySpanExporter();
const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
const running: ServiceProcess[] = [];
const orchestrator = new Orchestrator();
let model: Server;
let server: OrchestratorServer;

beforeAll(async () => {
  provider.register();
  model = createServer((request, response) => {
    request.resume().on('end', () => {
      const choices = [{ delta: { content: `${CANARIES.text} [1].` }, finish_reason: 'stop' }];
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.end(`data: ${JSON.stringify({ choices, usage: { total_tokens: 42 } })}\n\n`);
    });
  });
  await new Promise<void>((resolve) => model.listen(0, '127.0.0.1', resolve));
  const { port } = model.address() as AddressInfo;
  const llm = {
    url: `http://127.0.0.1:${port}`,
    key: CANARIES.model,
    model: 'tiny',
  };
  const definitions = serviceDefinitions({ llm, embedding: 'hashed' });
  server = new OrchestratorServer(orchestrator, {
    identities: createIdentities({
      apiKeys: [{ key: CANARIES.key, tenant: 'acme' }],
      serviceTokens: definitions.map(({ name }) => ({ service: name, token: CANARIES.service + name })),
    }),
  });
  await server.listen(0);
  for (const definition of definitions) {
    const token = CANARIES.service + definition.name;
    const service = await startServiceProcess({
      definition,
      orchestratorUrl: server.url,
      token,
      report: () => {},
    });
    running.push(service);
    orchestrator.service(definition.name, { url: service.url, token });
  }
  const content = `# Lamp\n\n## Night mode\n\nNight mode dims the lamp at ten, ${CANARIES.text}.`;
  const input = { documents: [{ name: 'lamp.md', content }] };
  const { tasks } = orchestrator.tenant('acme');
  const { task_id } = await tasks.submit({ type: 'workflow', payload: { workflow: 'ingestion', input } });
  await tasks.wait(task_id, { timeoutMs: 20_000 });
  exporter.reset();
});

afterEach(() => {
  delete process.env['OTEL_SEMCONV_STABILITY_OPT_IN'];
  exporter.reset();
});

afterAll(async () => {
  await Promise.all(running.map((service) => service.stop({ drainMs: 0 })));
  await server.stop({ graceMs: 0 });
  model.closeAllConnections();
  await new Promise((resolve) => model.close(resolve));
  await provider.shutdown();
});

async function chat(session_id: string) {
  const response = await fetch(`${server.url}/v1/chat`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${CANARIES.key}`,
      'content-type': 'application/json',
      traceparent: TRACEPARENT,
      prefer: 'wait=20',
    },
    body: JSON.stringify({
      message: `What does night mode do? ${CANARIES.text}`,
      session_id,
      agent_id: 'assistant',
    }),
  });
  expect(response.status).toBe(200);
  await expect
    .poll(() => exporter.getFinishedSpans().some(({ name }) => name === 'POST /v1/chat'))
    .toBe(true);
  return exporter.getFinishedSpans().filter((span) => span.spanContext().traceId === TRACE);
}

test('one chat is one trace over six services, from the client to the model', async () => {
  const spans = await chat('s-1');
  const tree = spanTree(spans);
  console.log(tree);
  const depths = tree.split('\n').map((line) => line.slice(9).replace(/ \(\d+ ms\)/, ''));
  expect(depths[0]).toBe('POST /v1/chat');
  for (const service of ['conversation', 'agent_management', 'agent_execution', 'query', 'tool_registry'])
    expect(depths.filter((line) => line.trim() === `POST → ${service}`).length, service).toBeGreaterThan(0);
  expect(depths).toEqual(
    expect.arrayContaining([
      '  submit agent_execution',
      '    wait agent_execution',
      '    process agent_execution',
      '      call agent_execution.run',
      '        POST → agent_execution',
      '          POST /run',
      '            job agent_execution.run',
      '              POST /internal/v1/services/{service}/{operation}',
      '                POST → query',
      '                  POST /query',
      '                    job query.query',
      '                      POST',
      '                      receive task_completed',
    ]),
  );
  // One root, and nothing that hangs loose.
  expect(depths.filter((line) => !line.startsWith(' '))).toEqual(['POST /v1/chat']);
  expect(
    spans.every(({ attributes }) => Object.keys(attributes).every((key) => !key.startsWith('gen_ai.'))),
  ).toBe(true);
});

test('has the GenAI attributes only with their opt-in, and no secret or text in any attribute', async () => {
  process.env['OTEL_SEMCONV_STABILITY_OPT_IN'] = 'http, gen_ai_latest_experimental';
  const spans = await chat('s-2');
  const byOperation = new Map(
    spans.map(({ attributes }) => [attributes['gen_ai.operation.name'], attributes]),
  );
  expect(byOperation.get('invoke_agent')).toMatchObject({
    'gen_ai.agent.name': 'assistant',
    'gen_ai.conversation.id': 's-2',
  });
  expect(byOperation.get('embeddings')).toBeDefined();
  expect([...byOperation.values()].map((attributes) => attributes['gen_ai.request.model'])).toContain('tiny');
  const shown = JSON.stringify(
    spans.map(({ name, attributes, events, status }) => ({ name, attributes, events, status })),
  );
  expect(shown).toContain('invoke_agent');
  expect(shown).not.toContain('canary');
});

test('a final event that two clients get is one span, in the trace of its task', async () => {
  await orchestrator.tenant('acme').sessions.create({ session_id: 's-3' });
  const gone = new AbortController();
  const headers = { authorization: `Bearer ${CANARIES.key}`, accept: 'text/event-stream' };
  const follow = () => fetch(`${server.url}/v1/sessions/s-3/events`, { headers, signal: gone.signal });
  expect((await Promise.all([follow(), follow()])).map(({ status }) => status)).toEqual([200, 200]);
  const [submitted] = (await chat('s-3')).filter(({ name }) => name === 'submit agent_execution');
  const delivered = () => exporter.getFinishedSpans().filter(({ name }) => name === 'deliver task_completed');
  const ids = () => delivered().map(({ attributes }) => attributes['messaging.message.id']);
  await expect.poll(ids).toContain(submitted?.attributes['messaging.message.id']);
  gone.abort();
  // The calls of the chat are tasks as well, with an event each.
  expect(new Set(ids()).size).toBe(ids().length);
  expect(delivered().every(({ attributes }) => attributes['agent_orchestrator.clients'] === 2)).toBe(true);
  expect(new Set(delivered().map((span) => span.spanContext().traceId))).toEqual(new Set([TRACE]));
});

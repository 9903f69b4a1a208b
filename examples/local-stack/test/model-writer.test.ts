import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { JsonObject } from '@agent-orchestrator/core';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { serverSentData } from '../src/models/server-sent-data.js';
import { type Stack, startStack } from './direct-gateway.js';

type Handler = (request: IncomingMessage, response: ServerResponse, body: JsonObject) => void;

let handler: Handler;
let stack: Stack;
const requests: { url: string; headers: IncomingMessage['headers']; body: JsonObject }[] = [];
const server = createServer((request, response) => {
  let text = '';
  request.on('data', (part: Buffer) => (text += part.toString()));
  request.on('end', () => {
    const body = JSON.parse(text) as JsonObject;
    requests.push({ url: request.url ?? '', headers: request.headers, body });
    handler(request, response, body);
  });
});

beforeEach(async () => {
  requests.length = 0;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const llm = { url: `http://127.0.0.1:${port}/v1/`, key: 'k-1', model: 'tiny', timeoutMs: 1_000 };
  stack = startStack({ llm, host: { report: () => {} } });
  await stack.ingest(
    'guide.md',
    '# Heartbeat\n\nThe heartbeat interval is 15 seconds. It can be changed with `heartbeatMs`.',
  );
});

afterEach(async () => {
  await stack.stop();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const part = (content: string, finish?: string) =>
  `data: ${JSON.stringify({ choices: [{ delta: { content }, finish_reason: finish ?? null }] })}\n\n`;
const query = (question = 'What is the heartbeat interval?') => stack.call('query', 'query', { question });

function streams(...parts: string[]): Handler {
  return (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    for (const text of parts) response.write(text);
    response.end();
  };
}

describe('answers by a language model', () => {
  test('are written from the passages, and streamed', async () => {
    handler = streams(
      ': comment\n\n',
      part('It is '),
      part('15 seconds [1].', 'stop'),
      'data: {"choices":[],"usage":{"total_tokens":42}}\n\n',
      'data: [DONE]\n\n',
    );
    const result = await query();
    expect(result).toMatchObject({
      answer: 'It is 15 seconds [1].',
      model: 'tiny',
      sources: [{ title: 'guide.md › Heartbeat' }],
    });
    const [request] = requests;
    expect(request?.url).toBe('/v1/chat/completions');
    expect(request?.headers.authorization).toBe('Bearer k-1');
    expect(request?.body).toMatchObject({ model: 'tiny', stream: true });
    expect(JSON.stringify(request?.body)).toContain('heartbeat interval is 15 seconds');
    const notifier = stack.gateway.notifierFor('query');
    const deltas = notifier.statuses.flatMap(
      ({ details }) => (details?.['delta'] as string | undefined) ?? [],
    );
    expect(deltas.join('')).toBe('It is 15 seconds [1].');
    expect(notifier.outcomes[0]?.metadata).toEqual({ usage: { tokens: 42, model: 'tiny' } });
  });

  test('use the conversation, the instructions and the facts', async () => {
    handler = streams(part('ok', 'stop'), 'data: [DONE]\n\n');
    const messages = [
      { role: 'user', content: 'What about the heartbeat?' },
      { role: 'assistant', content: 'It beats.' },
    ];
    const input = {
      question: 'How often?',
      messages,
      instructions: 'Speak like a pirate.',
      facts: ['2 * 3 = 6'],
    };
    await stack.call('query', 'query', input);
    const sent = JSON.stringify(requests[0]?.body);
    for (const text of ['Speak like a pirate.', 'It beats.', '2 * 3 = 6', 'How often?'])
      expect(sent).toContain(text);
  });

  test('cite nothing if the model finds nothing', async () => {
    handler = streams(part('I did not find an answer in the documents.', 'stop'), 'data: [DONE]\n\n');
    expect(await query()).toMatchObject({ sources: [] });
  });

  test('are streamed at most 20 times a second', async () => {
    handler = (_request, response) => {
      response.writeHead(200);
      for (let n = 0; n < 500; n += 1) response.write(part('x'));
      response.end(`${part('', 'stop')}data: [DONE]\n\n`);
    };
    const started = Date.now();
    expect((await query())['answer']).toBe('x'.repeat(500));
    const deltas = stack.gateway
      .notifierFor('query')
      .statuses.filter(({ details }) => details?.['delta'] !== undefined);
    expect(deltas.length).toBeLessThanOrEqual((Date.now() - started) / 50 + 2);
  });
});

describe('a failing language model', () => {
  const status =
    (code: number): Handler =>
    (_request, response) =>
      response.writeHead(code).end('{}');

  test.each<[string, Handler, RegExp, number]>([
    ['500', status(500), /status 500/, 3],
    ['429', status(429), /status 429/, 3],
    ['401', status(401), /status 401/, 1],
    ['garbage', streams('data: {"choi\n\n'), /something else/, 3],
    ['another shape', streams('data: {"choices":"x"}\n\n'), /something else/, 3],
    [
      'an error in the stream',
      streams('data: {"error":{"message":"out of memory"}}\n\n'),
      /reported an error/,
      3,
    ],
    ['half a stream', streams(part('It is')), /broke off/, 3],
    ['no text', streams('data: [DONE]\n\n'), /nothing/, 3],
    ['too much', streams(part('x'.repeat(200_000))), /more than/, 3],
    [
      'a broken connection',
      (_request, response) => response.writeHead(200).write(part('It'), () => response.destroy()),
      /broke off/,
      3,
    ],
    [
      'a redirect',
      (_request, response) => response.writeHead(302, { location: 'http://169.254.169.254/' }).end(),
      /cannot be reached/,
      3,
    ],
    ['no answer', () => {}, /within 1000 ms/, 3],
  ])('fails the query with a clear error, not retryable: %s', async (_name, broken, message, asked) => {
    handler = broken;
    const code = asked === 1 ? 'service_error' : 'service_unavailable';
    const error: unknown = await query().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code, retryable: false, message: expect.stringMatching(message) });
    expect(requests).toHaveLength(asked);
  });

  test('a language model is not called without passages', async () => {
    handler = status(500);
    expect(await stack.call('query', 'query', { question: 'What is the refund policy?' })).toMatchObject({
      sources: [],
    });
    expect(await stack.call('query', 'query', { question: 'Anything?' }, 'empty')).toMatchObject({
      sources: [],
    });
    expect(requests).toEqual([]);
  });
});

test('embeddings by a remote model are requested in batches and validated', async () => {
  handler = (_request, response, { input }) => {
    const data = (input as string[])
      .map((_text, index) => ({ index, embedding: [3 * index, 4] }))
      .toReversed();
    response.end(JSON.stringify({ data, usage: { total_tokens: 9 } }));
  };
  const { port } = server.address() as AddressInfo;
  const remote = startStack({ embedding: { url: `http://127.0.0.1:${port}`, model: 'emb' } });
  expect(await remote.call('embedding', 'embed', { texts: ['a', 'b'] })).toEqual({
    vectors: [
      [0, 1],
      [0.6, 0.8],
    ],
    model: 'emb',
    dimensions: 2,
  });
  handler = (_request, response) => response.end('{"data":[{"index":0,"embedding":[1]}]}');
  await expect(remote.call('embedding', 'embed', { texts: ['a', 'b'] })).rejects.toMatchObject({
    code: 'service_unavailable',
  });
});

test('server-sent events of a model are parsed across any chunk boundaries', async () => {
  const text = 'data: one\r\n\r\n: comment\nevent: x\ndata: two\ndata: lines\n\ndata: last';
  for (let size = 1; size < 12; size += 1) {
    const parts = (async function* () {
      for (let at = 0; at < text.length; at += size) yield text.slice(at, at + size);
    })();
    const read: string[] = [];
    for await (const data of serverSentData(parts)) read.push(data);
    expect(read).toEqual(['one', 'two\nlines', 'last']);
  }
});

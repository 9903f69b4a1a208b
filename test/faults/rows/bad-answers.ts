import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import type { Task } from '@agent-orchestrator/core';
import { expect, it, onTestFinished } from 'vitest';
import type { FaultTable } from '../fault-table.js';
import { given, KillableHub, NO_JITTER } from '../killable-hub.js';
import { growth, heldMiB } from '../memory.js';
import { type ReceivedCall, reply, ScriptedService } from '../scripted-service.js';

const BOUND_MIB = 48;
const MIB = 2 ** 20;
const BOMB = gzipSync(Buffer.alloc(64 * MIB, 'x'));
/** Timeout of a call whose answer has to be late, in ms. */
const LIMIT_MS = 1_500;
/** Timeout of other calls, in ms: one that reaches it hangs. */
const PATIENT_MS = 60_000;

/** Behaviour of a service, and its expected effect. */
interface BadAnswer {
  readonly fault: string;
  /**
   * `again`: the request is repeated with the same key, until an answer comes; else the code of the failed
   * call.
   */
  readonly expected: 'again' | 'invalid_response' | 'result_too_large' | 'completed';
  /** Ends by the timeout. */
  readonly late?: true;
  answer(received: ReceivedCall, response: ServerResponse): void;
}

/** Bytes of the endless answer that were sent. */
let streamed = 0;
/** Requests at the target of a redirect. */
let followed = 0;

const raw = (response: ServerResponse, text: string) => void response.socket?.end(text);
const body =
  (text: string, type = 'application/json') =>
  (_: ReceivedCall, response: ServerResponse) => {
    response.writeHead(200, { 'content-type': type });
    response.end(text);
  };

function endless(response: ServerResponse): void {
  const chunk = Buffer.alloc(64 * 1024, 'x');
  response.writeHead(200, { 'content-type': 'application/json' });
  const more = () => {
    while (!response.destroyed && streamed < 1024 * MIB) {
      streamed += chunk.byteLength;
      if (!response.write(chunk)) {
        response.once('drain', more);
        return;
      }
    }
    response.end();
  };
  more();
}

function drip(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'application/json' });
  const dripping = setInterval(() => response.write(' '), LIMIT_MS / 4);
  response.on('close', () => clearInterval(dripping));
}

function half(response: ServerResponse): void {
  response.writeHead(200, { 'content-length': '100' });
  response.write('{"result":', () => response.socket?.end());
}

/** The whole body was sent, but not the end of the stream. */
function resetAfterBody(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'application/json', 'transfer-encoding': 'chunked' });
  response.write('{"result":1}', () => setTimeout(() => response.socket?.resetAndDestroy(), 20));
}

const redirect = (status: number, location: () => string): BadAnswer => ({
  fault: `${status} to ${location().includes('169') ? '169.254.169.254' : 'another service'}`,
  expected: 'invalid_response',
  answer: (_, response) => reply(response, status, {}, { location: location() }),
});

const AGAIN: readonly BadAnswer[] = [
  { fault: '500', expected: 'again', answer: (_, response) => reply(response, 500, {}) },
  { fault: '503 with garbage', expected: 'again', answer: (_, response) => reply(response, 503, '<html>') },
  {
    fault: '429, Retry-After: 1',
    expected: 'again',
    answer: (_, response) => reply(response, 429, {}, { 'retry-after': '1' }),
  },
  { fault: 'no answer in time', expected: 'again', late: true, answer: () => undefined },
  {
    fault: 'reset after the request',
    expected: 'again',
    answer: (_, response) => void response.socket?.resetAndDestroy(),
  },
  { fault: 'reset after the body', expected: 'again', answer: (_, response) => resetAfterBody(response) },
  { fault: 'half a body', expected: 'again', answer: (_, response) => half(response) },
  { fault: 'a byte at a time', expected: 'again', late: true, answer: (_, response) => drip(response) },
  {
    fault: 'garbage, not HTTP',
    expected: 'again',
    answer: (_, response) => raw(response, '\0\x01GARBAGE\n\n'),
  },
  {
    fault: 'only informational answers',
    expected: 'again',
    late: true,
    answer: (_, response) => void response.socket?.write('HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(1_000)),
  },
  {
    fault: 'headers of 1 MiB',
    expected: 'again',
    answer: (_, response) => raw(response, `HTTP/1.1 200 OK\r\nx: ${'y'.repeat(MIB)}\r\n\r\n{"result":1}`),
  },
];

const FINAL: readonly BadAnswer[] = [
  { fault: 'garbage, not JSON', expected: 'invalid_response', answer: body('\0\x01\x02 garbage') },
  {
    fault: 'HTML',
    expected: 'invalid_response',
    answer: body('<html>It works!</html>', 'text/html'),
  },
  { fault: 'JSON said to be text', expected: 'completed', answer: body('{"result":1}', 'text/plain') },
  {
    fault: '1 GiB in chunks',
    expected: 'result_too_large',
    answer: (_, response) => endless(response),
  },
  {
    fault: 'a gzip bomb of 64 MiB',
    expected: 'invalid_response',
    answer: (_, response) => {
      response.writeHead(200, { 'content-encoding': 'gzip', 'content-type': 'application/json' });
      response.end(BOMB);
    },
  },
  { fault: '204', expected: 'invalid_response', answer: (_, response) => response.writeHead(204).end() },
  redirect(302, () => 'http://169.254.169.254/latest/meta-data/'),
  redirect(307, () => 'http://169.254.169.254/latest/meta-data/'),
  {
    fault: 'a result nested 10,000 deep',
    expected: 'invalid_response',
    answer: body(`{"result":${'['.repeat(10_000)}${']'.repeat(10_000)}}`),
  },
  {
    fault: 'the key __proto__',
    expected: 'invalid_response',
    answer: body('{"result":{"__proto__":{"polluted":true}}}'),
  },
  {
    fault: 'the same key twice',
    expected: 'completed',
    answer: body('{"result":0,"result":1}'),
  },
];

/** The reachable target of redirects. */
async function trap(): Promise<string> {
  const server = createServer((_: IncomingMessage, response) => {
    followed += 1;
    reply(response, 200, { result: 'trapped' });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

interface Seen {
  readonly task: Task;
  readonly requests: readonly ReceivedCall[];
}

/** Calls all services at once; a repeated request is answered at the third time. */
async function callAll(cases: readonly BadAnswer[]): Promise<Seen[]> {
  const hub = await KillableHub.start({ orchestrator: { random: NO_JITTER } });
  const service = await ScriptedService.start((received, response) => {
    const found = cases[Number(received.name)];
    if (found?.expected === 'again' && received.nth > 2) reply(response, 200, { result: 1 });
    else found?.answer(received, response);
  });
  const run = async (index: number): Promise<Seen> => {
    const name = `service-${index}`;
    const url = service.url(String(index));
    // One service each, since circuit breakers are by service.
    hub.orchestrator.service(name, { url, timeoutMs: cases[index]?.late ? LIMIT_MS : PATIENT_MS });
    hub.orchestrator.workflow(name, (ctx) => ctx.call(name, 'work', {}));
    const id = await hub.submit(name, {}, { max_attempts: 1 });
    return { task: await hub.ended(id), requests: service.at(String(index)) };
  };
  return Promise.all(cases.map((_, index) => run(index)));
}

function judge({ fault, expected }: BadAnswer, { task, requests }: Seen): string[] {
  const keys = new Set(requests.map(({ headers }) => headers['idempotency-key']));
  const problems = keys.size === 1 ? [] : [`${fault}: ${keys.size} keys`];
  const sends = expected === 'again' ? 3 : 1;
  if (requests.length !== sends) problems.push(`${fault}: ${requests.length} requests`);
  const code = task.error?.code ?? task.status;
  const expectedCode = expected === 'again' ? 'completed' : expected;
  if (code !== expectedCode) problems.push(`${fault}: ${code}, ${task.error?.message}`);
  if (expectedCode === 'completed' && task.result !== 1) problems.push(`${fault}: the result is problems`);
  return problems;
}

async function badAnswers(table: FaultTable): Promise<void> {
  const target = await trap();
  const cases = [...AGAIN, ...FINAL, redirect(301, () => target), redirect(308, () => target)];
  const before = heldMiB();
  const all = await callAll(cases);
  const grown = heldMiB() - before;
  expect(cases.flatMap((each, index) => judge(each, given(all[index])))).toEqual([]);
  expect([followed, (Object.prototype as { polluted?: unknown }).polluted]).toEqual([0, undefined]);
  expect(streamed).toBeLessThan(64 * MIB);
  expect(grown).toBeLessThan(BOUND_MIB);
  const [first, second] = all[cases.findIndex(({ fault }) => fault.startsWith('429'))]?.requests ?? [];
  // Timers may fire a little early.
  expect((second?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThan(990);
  for (const [index, { fault, expected }] of cases.entries()) {
    const { task, requests } = given(all[index]);
    const keys = new Set(requests.map(({ headers }) => headers['idempotency-key']));
    table.add({
      row: 22,
      fault,
      expected: expected === 'again' ? 'sent again, same key' : expected,
      seen: task.error?.code ?? task.status,
      detail: `${requests.length} requests, ${keys.size} key`,
    });
  }
  table.add({
    row: 22,
    fault: 'all of them',
    expected: 'memory bounded, no redirect followed',
    seen: `${followed} followed`,
    detail: `${growth(grown)}; ${(streamed / MIB).toFixed(1)} of 1,024 MiB were streamed`,
  });
}

async function forEver(table: FaultTable): Promise<void> {
  const cases = ['500', 'reset after the request', 'half a body'].map((fault) => {
    const found = AGAIN.find((each) => each.fault === fault) as BadAnswer;
    return { ...found, expected: 'invalid_response' as const };
  });
  const all = await callAll(cases);
  for (const [index, { task, requests }] of all.entries()) {
    const keys = new Set(requests.map(({ headers }) => headers['idempotency-key']));
    expect([requests.length, keys.size]).toEqual([5, 1]);
    // Its owner has sent it as often as it may: no further attempt of the task sends it again.
    expect(task).toMatchObject({ attempt: 1, error: { code: 'service_unavailable' } });
    table.add({
      row: 22,
      fault: `${cases[index]?.fault}, for ever`,
      expected: 'sent 5 times in all, same key, then failed',
      seen: task.error?.code ?? '',
      detail: `${requests.length} requests, ${keys.size} key`,
    });
  }
}

const answerOf = (result: string) => {
  const text = JSON.stringify({ result });
  return `HTTP/1.1 200 OK\r\ncontent-length: ${text.length}\r\nconnection: keep-alive\r\n\r\n${text}`;
};

async function unrequestedAnswers(table: FaultTable): Promise<void> {
  const hub = await KillableHub.start({ orchestrator: { random: NO_JITTER } });
  const service = await ScriptedService.start(({ call }, response) => {
    const { n } = call.input as { n: number };
    response.socket?.write(answerOf(`own ${n}`) + answerOf('smuggled'));
  });
  hub.orchestrator.service('query', { url: service.url(), timeoutMs: LIMIT_MS, concurrency: 1 });
  const results: unknown[] = [];
  for (let n = 0; n < 20; n += 1) {
    const { result } = await hub.ended(await hub.submit('query', { n }, { max_attempts: 1 }));
    results.push(result);
  }
  expect(results).toEqual(Array.from({ length: 20 }, (_, n) => `own ${n}`));
  table.add({
    row: 22,
    fault: 'a second answer without a request behind each',
    expected: 'each call has its own answer',
    seen: `${results.length} of 20 have their own`,
    detail: `${service.requests.length} requests`,
  });
}

export function badAnswersOfServices(table: FaultTable): void {
  it('22: a call with a bad answer is repeated or fails', () => badAnswers(table));
  it('22: a call whose service always fails is given up', () => forEver(table));
  it('22: an answer without a request reaches no call', () => unrequestedAnswers(table));
}

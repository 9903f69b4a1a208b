import type { JsonValue } from '@agent-orchestrator/core';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { startServer, text } from './running-server.js';

const PORTION = 64 * 1024;
const LATER = '2100-01-01T00:00:00Z';

/** What JSON has to read and to write while `work` is done, in characters: the most at once, and in all. */
async function jsonWork(work: () => Promise<unknown>) {
  const parse = vi.spyOn(JSON, 'parse');
  const stringify = vi.spyOn(JSON, 'stringify');
  onTestFinished(() => {
    vi.restoreAllMocks();
  });
  await work();
  const read = parse.mock.calls.map(([part]) => part.length);
  const written = stringify.mock.results.map(({ value }) => String(value).length);
  vi.restoreAllMocks();
  const sum = (lengths: readonly number[]) => lengths.reduce((total, length) => total + length, 0);
  return { most: Math.max(...read, ...written), read: sum(read), written: sum(written) };
}

const bodies: Readonly<Record<string, (bytes: number) => JsonValue>> = {
  'many lists': (bytes) => Array.from({ length: bytes / 3 }, () => []),
  'many keys': (bytes) => Object.fromEntries(Array.from({ length: bytes / 12 }, (_, at) => [`key${at}`, 0])),
  'many levels': (bytes) =>
    Array.from({ length: bytes / 41 }, () => JSON.parse('['.repeat(20) + ']'.repeat(20)) as JsonValue),
};

describe.each(Object.entries(bodies))('a large body of %s', (_, make) => {
  it.each([256, 900])('of %i KiB is parsed once and serialised once, in portions', async (kib) => {
    const running = await startServer();
    const payload = make(kib * 1024);
    const raw = JSON.stringify({ type: 'echo', run_at: LATER, payload });
    let taskId = '';
    const submit = async () => {
      const headers = { 'content-type': 'application/json', 'idempotency-key': 'one' };
      const { status, body } = await running.ask('POST', '/v1/tasks', { body: raw, headers });
      expect(status).toBe(202);
      taskId = text(body['task_id']);
    };
    const { most, read, written } = await jsonWork(submit);
    expect(most).toBeLessThan(2 * PORTION);
    expect(read).toBeLessThan(raw.length * 1.05);
    expect(written).toBeLessThan(raw.length * 1.05);
    await running.ask('POST', `/v1/tasks/${taskId}/cancel`);
    const shown = await running.ask('GET', `/v1/tasks/${taskId}`);
    expect(shown.body['payload']).toEqual(payload);
  });

  it('is parsed and serialised once as the context of a chat, of a session, and as a signal', async () => {
    const running = await startServer();
    const context = { a: make(600 * 1024) };
    const json = JSON.stringify(context);
    const approval = await running.submit('approval');
    const requests: readonly (readonly [string, string])[] = [
      ['/v1/chat', `{"message":"hello","context":${json}}`],
      ['/v1/batch', `{"requests":[{"message":"hello","context":${json}}]}`],
      ['/v1/sessions', `{"context":${json}}`],
      [`/v1/tasks/${approval}/signals/later`, `{"payload":${json}}`],
    ];
    // Nothing that is submitted is run.
    await running.orchestrator.tenants.pause('acme');
    for (const [path, body] of requests) {
      const { most, read, written } = await jsonWork(async () => {
        const answer = await running.fetch('POST', path, { body, headers: { 'idempotency-key': path } });
        expect(answer.status, path).toBeLessThan(300);
        await answer.text();
      });
      expect(most, path).toBeLessThan(2 * PORTION);
      expect(read, path).toBeLessThan(body.length * 1.05);
      expect(written, path).toBeLessThan(body.length * 1.05);
    }
  });

  it('is parsed once as an update of a large context, which is neither parsed nor serialised', async () => {
    const running = await startServer();
    const first = JSON.stringify({ session_id: 's', context: { a: make(400 * 1024) } });
    const headers = { 'content-type': 'application/json' };
    expect((await running.ask('POST', '/v1/sessions', { body: first, headers })).status).toBe(201);
    for (const change of [{ b: make(400 * 1024) }, { step: 1 }, { a: null, step: null }]) {
      const body = JSON.stringify({ context: change });
      const { most, read, written } = await jsonWork(async () => {
        const answer = await running.fetch('PATCH', '/v1/sessions/s', { body, headers });
        expect(answer.status).toBe(200);
        await answer.text();
      });
      expect(most).toBeLessThan(2 * PORTION);
      expect(read).toBeLessThan(body.length * 1.05 + 1_000);
      expect(written).toBeLessThan(body.length * 1.05 + 1_000);
    }
    const shown = await running.ask('GET', '/v1/sessions/s');
    expect(shown.body['context']).toEqual({ b: make(400 * 1024) });
  });
});

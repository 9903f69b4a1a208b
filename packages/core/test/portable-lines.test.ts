import { describe, expect, it } from 'vitest';
import { MemoryStorage } from '../src/index.js';
import type { Engine } from '../src/engine/engine.js';
import type { EngineGate } from '../src/engine/engine-gate.js';
import type { PortableRecord } from '../src/storage/index.js';
import { ManualClock } from './harness.js';
import { exportOf, linesOf, recordsOf } from './portable-records.js';

const TENANT = 'acme';
const id = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;

/** A session with a message, a batch of two, and one task that has ended: line by line. */
async function lines(): Promise<string[]> {
  const clock = new ManualClock();
  const storage = new MemoryStorage({ clock });
  const { tasks, queue, sessions, usage } = storage;
  const task = (n: number) => ({
    task_id: id(n),
    type: 'work',
    priority: 4,
    payload: { n, text: 'ä'.repeat(n) },
    metadata: {},
    timeoutMs: 60_000,
    maxAttempts: 3,
  });
  const all = { tenantId: TENANT, maxWaiting: 10 };
  const idempotency = { key: 'k', fingerprint: 'f' };
  await tasks.submit({ ...all, submission: { task: task(1), onBusy: 'enqueue' }, idempotency });
  const [claim] = await queue.claim({
    workerId: 'w',
    claimId: 'c',
    max: 1,
    runs: [{ type: 'work', versions: [1] }],
    leaseMs: 1_000,
  });
  const settlement = { kind: 'completed', result: 'r' } as const;
  await queue.settle({ tenantId: TENANT, taskId: id(1), token: claim?.token ?? '', settlement });
  await sessions.create({ tenantId: TENANT, sessionId: 's', context: { a: 1 } });
  const message = { message_id: 'm', role: 'user', content: 'hello' } as const;
  await sessions.append({ tenantId: TENANT, sessionId: 's', message });
  const items = [2, 3].map((n) => ({ task: task(n), onBusy: 'enqueue' }) as const);
  await tasks.submitBatch({ ...all, batch: { batchId: 'b', maxInFlight: 1, failFast: true, items } });
  await tasks.signal({ tenantId: TENANT, taskId: id(3), name: 'go', payload: 1, signalId: 'i' });
  const used = { model: 'm', operation: 'o', tokens: 1, savedTokens: 0 };
  await usage.add({ tenantId: TENANT, id: 'u', ...used });
  const { engine } = (storage as unknown as { readonly gate: EngineGate }).gate as {
    readonly engine: Engine;
  };
  return linesOf(exportOf(engine, clock.now()));
}

type Json = Record<string, unknown>;

/** A valid export with other records: its last line fits. */
function withRecords(change: (records: Json[]) => Json[]): () => Promise<string[]> {
  return async () => {
    const [head = '', ...rest] = await lines();
    const records = rest.slice(0, -1).map((line) => JSON.parse(line) as Json);
    const changed = change(records).map((record) => `${JSON.stringify(record)}\n`);
    return [head, ...changed, rest.at(-1) ?? ''];
  };
}

const changed = (kind: string, fields: Json) =>
  withRecords((records) => records.map((one) => (one['kind'] === kind ? { ...one, ...fields } : one)));
const twice = (kind: string) =>
  withRecords((records) => records.flatMap((one) => (one['kind'] === kind ? [one, one] : [one])));
const without = (kind: string) => withRecords((records) => records.filter((one) => one['kind'] !== kind));
const cut = (by: number) => async () => [(await lines()).join('').slice(0, -by)];

describe('an export', () => {
  it('is read in chunks of any size', async () => {
    const all = await lines();
    const kinds = (records: readonly PortableRecord[]) => records.map(({ kind }) => kind);
    const expected = kinds(await recordsOf(all));
    expect(expected).toEqual([
      'tenant',
      'session',
      'messages',
      'batch',
      'task',
      'task',
      'task',
      'journal',
      'journal',
      'batch_items',
      'key',
      'usage',
      'usage_details',
    ]);
    for (const bytes of [1, 2, 7, 64, 100_000]) expect(kinds(await recordsOf(all, bytes))).toEqual(expected);
  });

  it.each([
    ['nothing', async () => [''], /^expected an export of a storage, got nothing$/],
    [
      'something else',
      async () => ['{"a":1}\n'],
      /^line 1: expected an export of a storage, with the format/,
    ],
    ['no JSON', async () => ['hello\n'], /^line 1: expected an export of a storage, got something else$/],
    [
      'another version',
      async () => ['{"format":"agent-orchestrator.storage","version":2,"exported_at":""}\n'],
      /^line 1: expected version 1 of the format, which this program reads, got version 2$/,
    ],
    ['a cut in the last line', cut(20), /^line 15: expected a line of JSON, got something else$/],
    [
      'a cut between lines',
      async () => (await lines()).slice(0, 5),
      /^expected a last line of kind "end", got none behind line 5: the export was cut$/,
    ],
    ['no line', async () => (await lines()).slice(0, 1), /got none behind line 1: the export was cut$/],
    [
      'a missing line',
      async () => (await lines()).filter((line) => !line.startsWith('{"kind":"usage",')),
      /^line 14: expected 14 lines before the last one, got 13$/,
    ],
    [
      'a changed line',
      async () => (await lines()).map((line) => line.replace('"content":"hello"', '"content":"hallo"')),
      /^line 15: expected lines with the SHA-256 [0-9a-f]{64}, got some with [0-9a-f]{64}: a line was changed$/,
    ],
    [
      'more behind the last line',
      async () => [...(await lines()), '{"kind":"usage"}\n'],
      /^line 15: expected nothing behind the last line, got more$/,
    ],
    [
      'a line of an unknown kind',
      changed('batch', { kind: 'crate' }),
      /^line 5: expected a line of kind tenant, session, .* or end, got "crate"$/,
    ],
    [
      'an unknown field',
      changed('session', { colour: 1 }),
      /^line 3: session at "colour": expected no such field/,
    ],
    [
      'a priority beyond its limits',
      changed('task', { priority: 12 }),
      /^line 6: task at "priority": .*got 12$/,
    ],
    [
      'an id that is none',
      changed('session', { session_id: 'a b' }),
      /^line 3: session at "session_id": expected an id/,
    ],
    [
      'a payload that is too large',
      changed('task', { payload: 'x'.repeat(2 ** 20) }),
      /^line 6: task at "payload": expected JSON of at most 1048576 bytes/,
    ],
    ['a tenant twice', twice('tenant'), /^line 3: expected each tenant once, got tenant "acme" twice$/],
    ['a session twice', twice('session'), /^line 4: expected each session once, got session "s" twice$/],
    ['a message twice', twice('messages'), /^line 5: expected each message once, got message "m" twice$/],
    ['a batch twice', twice('batch'), /^line 6: expected each batch once, got batch "b" twice$/],
    ['a task twice', twice('task'), /^line 7: expected each task once, got task "0+-/],
    [
      'a key twice',
      twice('key'),
      /^line 13: expected each idempotency key once, got idempotency key "k" twice$/,
    ],
    ['a day of usage twice', twice('usage'), /expected each day of usage once/],
    ['a row of usage twice', twice('usage_details'), /expected each row of usage once/],
    ['no tenant', without('tenant'), /^line 2: expected records of a tenant first, got one of "acme"$/],
    ['messages of another session', without('session'), /^line 3: expected messages behind their session/],
    [
      'a task of no batch',
      without('batch'),
      /^line 6: expected the batch of task "0+-.*" before it, got no batch "b"$/,
    ],
    ['items of no task', without('task'), /expected a journal behind its task/],
    ['records in another order', withRecords((records) => records.toReversed()), /^line 5: expected/],
    ['a sequence behind the log', changed('tenant', { seq: 1 }), /expected a sequence from \d+ to 1 of task/],
    [
      'a result of a task that has not ended',
      withRecords((records) => records.map((one) => (one['kind'] === 'task' ? { ...one, result: 1 } : one))),
      /^line 7: expected no result of task "0+-.*", which is ready, got one$/,
    ],
  ])('is refused with %s', async (_, make, message) => {
    const error: unknown = await recordsOf(await make()).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code: 'invalid_request',
      message: expect.stringMatching(message) as string,
    });
  });

  it('is refused with bytes that are no text', async () => {
    const bytes = Buffer.from((await lines()).join(''));
    bytes[bytes.indexOf('hello')] = 0xff;
    const { readExport } = await import('../src/storage/index.js');
    const read = async () => {
      for await (const record of readExport([bytes] as unknown as AsyncIterable<Buffer>)) void record;
    };
    await expect(read()).rejects.toThrow('line 4: expected a line of JSON, got something else');
  });

  it('is refused with a line without an end', async () => {
    const { readExport } = await import('../src/storage/index.js');
    async function* endless() {
      for (;;) yield Buffer.alloc(2 ** 22, 0x20);
    }
    const read = async () => {
      for await (const record of readExport(endless())) void record;
    };
    await expect(read()).rejects.toThrow('expected at most 33554432 bytes in line 1, got more');
  });
});

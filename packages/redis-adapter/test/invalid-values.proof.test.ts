import { MemoryStorage, OrchestratorError, type Storage } from '@agent-orchestrator/core';
import { sharedRedis } from '@agent-orchestrator/test-servers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ManualClock } from '../../core/test/harness.js';
import { newNames, type Names, STORAGE_CALLS, type StorageCall } from './invalid-value-calls.js';
import { openStorage, type OpenStorage } from './storage-under-test.js';

/** Values from callers without types, or careless ones: created anew for each storage. */
const VALUES: Readonly<Record<string, () => unknown>> = {
  'half a character': () => 'cut \ud83e',
  'an empty text': () => '',
  'NUL in a text': () => 'a\u0000b',
  'a line break': () => 'a\nb',
  'a quoted brace': () => '{"a":"$at"}',
  NaN: () => NaN,
  Infinity: () => Infinity,
  '-Infinity': () => -Infinity,
  '-1': () => -1,
  '-0': () => -0,
  '0': () => 0,
  '0.5': () => 0.5,
  '100.5': () => 100.5,
  '2^53-1': () => 2 ** 53 - 1,
  '2^53': () => 2 ** 53,
  '2^53+2': () => 2 ** 53 + 2,
  '1e308': () => 1e308,
  '5e-324': () => 5e-324,
  'digits in a text': () => '5 ',
  true: () => true,
  null: () => null,
  undefined: () => undefined,
  'an array': () => [],
  'an object': () => ({}),
  'a BigInt': () => 10n,
  'a symbol': () => Symbol('invalid'),
  'a function': () => () => 1,
  'a date': () => new Date(0),
  'a date that is none': () => new Date(NaN),
  'a cycle': () => {
    const value: { self?: unknown } = {};
    value.self = value;
    return value;
  },
  'a __proto__ key': () => JSON.parse('{"__proto__":{"polluted":true},"constructor":1}') as unknown,
  'a toJSON': () => ({ toJSON: () => ({ as: 'json' }) }),
  'a toJSON that throws': () => ({
    toJSON() {
      throw new Error('no');
    },
  }),
  'a Proxy that throws': () =>
    new Proxy(
      {},
      {
        get() {
          throw new Error('no');
        },
        ownKeys() {
          throw new Error('no');
        },
      },
    ),
  'a Map': () => new Map([[1, 2]]),
  '600 levels': () => JSON.parse('['.repeat(600) + ']'.repeat(600)) as unknown,
  'a sparse array': () => Object.assign([], { 2: 'x' }),
};
const LARGE = 'x'.repeat(1_100_000);

/** Every path in the parameters, also inside arbitrary JSON. */
function* pathsIn(value: unknown, path: readonly string[] = []): Generator<readonly string[]> {
  if (path.length > 0) yield path;
  if (typeof value !== 'object' || value === null) return;
  for (const key of Object.keys(value))
    yield* pathsIn((value as Record<string, unknown>)[key], [...path, key]);
}

function withValue(params: object, [key = '', ...rest]: readonly string[], replacement: unknown): object {
  const copy = Array.isArray(params) ? [...(params as unknown[])] : { ...params };
  const inner = (params as Record<string, unknown>)[key];
  Reflect.set(copy, key, rest.length === 0 ? replacement : withValue(inner as object, rest, replacement));
  return copy;
}

/** A storage's answer, without values that only it can know. */
async function answerOf(storage: Storage, { title }: StorageCall, params: object): Promise<string> {
  const [part = '', method = ''] = (title.split(' ')[0] ?? '').split('.');
  const port = storage[part as 'tasks'] as unknown as Record<string, (params: object) => Promise<unknown>>;
  try {
    return normal(await port[method]?.(params));
  } catch (error) {
    if (error instanceof OrchestratorError) return `refused ${error.code}`;
    return `thrown ${String(error)}`;
  }
}

function normal(answer: unknown): string {
  const text = JSON.stringify(answer, (key, value: unknown) => {
    if (key === 'heldId') return 'held';
    return typeof value === 'string' ? value.replace(/^[0-9a-z]{1,40}:(\d+)$/, 'epoch:$1') : value;
  });
  return sorted(text ?? 'nothing');
}

/** With sorted fields: the storages build them in different orders. */
function sorted(text: string): string {
  if (text === 'nothing') return text;
  const inOrder = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(inOrder);
    if (typeof value !== 'object' || value === null) return value;
    const entries = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
    return entries.map(([key, field]) => [key, inOrder(field)]);
  };
  return JSON.stringify(inOrder(JSON.parse(text)));
}

/** State of the tenant after a trial: a refused call has changed nothing, or the same in both. */
async function stateAfter(storage: Storage, { tenantId, taskId, sessionId }: Names): Promise<string> {
  const { tasks, sessions, events, tenants } = storage;
  const page = await events.read({ tenantId, after: 'new:0', limit: 100 });
  return normal([
    await tasks.get({ tenantId, taskId }),
    await sessions.get({ tenantId, sessionId }),
    await sessions.messages({ tenantId, sessionId, limit: 10 }),
    page.events,
    await tenants.get({ tenantId }),
    await storage.usage.sum({ tenantId, from: '2026-01-01', to: '2026-12-31' }),
  ]);
}

/** Leases the remaining ready tasks, so that the next trial claims its own; the clock stands still. */
async function leaveNothingReady({ queue }: Storage, { id, type }: Names): Promise<void> {
  for (let n = 0; ; n += 1) {
    const claimId = `${id}-${n}`;
    const request = {
      workerId: `cleanup-${id}`,
      claimId,
      max: 50,
      runs: [{ type, versions: [1] }],
      leaseMs: 1_000,
    };
    if ((await queue.claim(request)).length === 0) return;
  }
}

describe('invalid and unusual values at every path of every method', () => {
  const memory = new MemoryStorage({ clock: new ManualClock() });
  let redis: OpenStorage;
  beforeAll(async () => {
    redis = openStorage((await sharedRedis()).url);
  });
  afterAll(() => redis.close());

  const rows: Record<string, { paths: number; trials: number; refused: number; differences: number }> = {};
  afterAll(() => console.table(rows));

  async function trial(call: StorageCall, path: readonly string[], make: () => unknown): Promise<string[]> {
    const names = newNames();
    const seen = await Promise.all(
      [memory, redis.storage].map(async (storage) => {
        await call.setUp?.(storage, names);
        const params = withValue(call.params(names), path, make());
        const answer = await answerOf(storage, call, params);
        const state = await stateAfter(storage, names);
        await leaveNothingReady(storage, names);
        return [answer, state];
      }),
    );
    const row = (rows[call.title] ??= { paths: 0, trials: 0, refused: 0, differences: 0 });
    row.trials += 1;
    const [[first = '', ...before] = [], [second, ...after] = []] = seen;
    if (first.startsWith('refused')) row.refused += 1;
    const same = first === second && before.join() === after.join() && !first.startsWith('thrown');
    if (!same) row.differences += 1;
    return same ? [] : [`${path.join('.')}: memory ${cut(first, before)}, Redis ${cut(second ?? '', after)}`];
  }
  const cut = (answer: string, state: readonly string[]) =>
    `${answer.slice(0, 300)} | ${state.join().slice(0, 600)}`;

  it.each(STORAGE_CALLS.map((call) => [call.title, call] as const))(
    '%s: memory and Redis give the same answer and have the same state after it',
    async (title, call) => {
      const paths = [...pathsIn(call.params(newNames()))];
      const found: string[] = [];
      for (const path of paths) {
        for (const [what, make] of Object.entries(VALUES))
          found.push(...(await trial(call, path, make)).map((difference) => `${what} at ${difference}`));
      }
      for (const path of paths.filter((one) => one.length <= 2))
        found.push(...(await trial(call, path, () => LARGE)).map((difference) => `1.1 MiB at ${difference}`));
      const row = rows[title];
      if (row) row.paths = paths.length;
      expect(found.slice(0, 5)).toEqual([]);
      expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
    },
    120_000,
  );
});

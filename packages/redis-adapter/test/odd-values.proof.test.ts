import { MemoryStorage, OrchestratorError, type Storage } from '@agent-orchestrator/core';
import { sharedRedis } from '@agent-orchestrator/test-servers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ManualClock } from '../../core/test/harness.js';
import { newNames, type Names, ODD_CALLS, type OddCall } from './odd-calls.js';
import { openStorage, type OpenStorage } from './storage-under-test.js';

/** Whatever a caller without types, or a careless one, hands over: made anew for each storage. */
const ODD_VALUES: Readonly<Record<string, () => unknown>> = {
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
  'a symbol': () => Symbol('odd'),
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

/** Every place in the parameters, also inside of what is any JSON. */
function* placesIn(value: unknown, path: readonly string[] = []): Generator<readonly string[]> {
  if (path.length > 0) yield path;
  if (typeof value !== 'object' || value === null) return;
  for (const key of Object.keys(value))
    yield* placesIn((value as Record<string, unknown>)[key], [...path, key]);
}

function withOdd(params: object, [key = '', ...rest]: readonly string[], odd: unknown): object {
  const copy = Array.isArray(params) ? [...(params as unknown[])] : { ...params };
  const inner = (params as Record<string, unknown>)[key];
  Reflect.set(copy, key, rest.length === 0 ? odd : withOdd(inner as object, rest, odd));
  return copy;
}

/** What a storage answers, without what only it can know. */
async function answerOf(storage: Storage, { title }: OddCall, params: object): Promise<string> {
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

/** With its fields in order: the storages put them together in different ones. */
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

/** How the tenant stands after it: whatever was refused has changed nothing, or the same in both. */
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

/** The next trial claims its own task: what is still ready is leased, and stays so, since the clock stands still. */
async function leaveNothingReady({ queue }: Storage, { id, type }: Names): Promise<void> {
  for (let n = 0; ; n += 1) {
    const claimId = `${id}-${n}`;
    const asked = {
      workerId: `broom-${id}`,
      claimId,
      max: 50,
      runs: [{ type, versions: [1] }],
      leaseMs: 1_000,
    };
    if ((await queue.claim(asked)).length === 0) return;
  }
}

describe('odd values at every place of every method', () => {
  const memory = new MemoryStorage({ clock: new ManualClock() });
  let redis: OpenStorage;
  beforeAll(async () => {
    redis = openStorage((await sharedRedis()).url);
  });
  afterAll(() => redis.close());

  const rows: Record<string, { places: number; trials: number; refused: number; differences: number }> = {};
  afterAll(() => console.table(rows));

  async function trial(call: OddCall, place: readonly string[], make: () => unknown): Promise<string[]> {
    const names = newNames();
    const seen = await Promise.all(
      [memory, redis.storage].map(async (storage) => {
        await call.setUp?.(storage, names);
        const params = withOdd(call.params(names), place, make());
        const answer = await answerOf(storage, call, params);
        const state = await stateAfter(storage, names);
        await leaveNothingReady(storage, names);
        return [answer, state];
      }),
    );
    const row = (rows[call.title] ??= { places: 0, trials: 0, refused: 0, differences: 0 });
    row.trials += 1;
    const [[first = '', ...before] = [], [second, ...after] = []] = seen;
    if (first.startsWith('refused')) row.refused += 1;
    const same = first === second && before.join() === after.join() && !first.startsWith('thrown');
    if (!same) row.differences += 1;
    return same
      ? []
      : [`${place.join('.')}: memory ${cut(first, before)}, Redis ${cut(second ?? '', after)}`];
  }
  const cut = (answer: string, state: readonly string[]) =>
    `${answer.slice(0, 300)} | ${state.join().slice(0, 600)}`;

  it.each(ODD_CALLS.map((call) => [call.title, call] as const))(
    '%s: memory and Redis answer alike, with the same state after it',
    async (title, call) => {
      const places = [...placesIn(call.params(newNames()))];
      const found: string[] = [];
      for (const place of places) {
        for (const [what, make] of Object.entries(ODD_VALUES))
          found.push(...(await trial(call, place, make)).map((difference) => `${what} at ${difference}`));
      }
      for (const place of places.filter((one) => one.length <= 2))
        found.push(
          ...(await trial(call, place, () => LARGE)).map((difference) => `1.1 MiB at ${difference}`),
        );
      const row = rows[title];
      if (row) row.places = places.length;
      expect(found.slice(0, 5)).toEqual([]);
      expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
    },
    120_000,
  );
});

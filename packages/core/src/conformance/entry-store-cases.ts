import assert from 'node:assert/strict';
import type { JsonValue } from '../protocol/json.js';
import type { EntryChange, EntryStore } from '../storage/entry-store.js';

/** An empty store of a service. */
export interface EntryStoreUnderTest {
  /** Opens it; again after it was closed. */
  open(): Promise<EntryStore>;
}

/** One requirement on every `EntryStore`. Throws an `AssertionError` on a violation. */
export interface EntryStoreCase {
  readonly name: string;
  run(under: EntryStoreUnderTest): Promise<void>;
}

const TENANT = 'acme';
const MANY = 2_500;

const put = (store: EntryStore, changes: readonly EntryChange[], tenantId = TENANT) =>
  store.put({ tenantId, changes });

/** Entries as `[tenant, key, value]`, in order. */
async function entriesOf(store: EntryStore): Promise<[string, string, JsonValue][]> {
  const found: [string, string, JsonValue][] = [];
  for await (const { tenantId, key, value } of store.entries({ signal: new AbortController().signal }))
    found.push([tenantId, key, value]);
  const order = ([tenantId, key]: readonly [string, string, JsonValue]) => JSON.stringify([tenantId, key]);
  return found.toSorted((a, b) => (order(a) < order(b) ? -1 : 1));
}

async function expectEntries(store: EntryStore, expected: readonly [string, string, JsonValue][]) {
  assert.deepEqual(await entriesOf(store), expected);
}

const changeCases: readonly EntryStoreCase[] = [
  {
    name: 'put stores values, replaces those of the same key, and removes keys without a value',
    async run(under) {
      const store = await under.open();
      await put(store, [
        { key: 'a', value: 1 },
        { key: 'b', value: 'two' },
        { key: 'c', value: [3] },
      ]);
      await put(store, [{ key: 'a', value: { one: null } }, { key: 'b' }, { key: 'unknown' }]);
      await expectEntries(store, [
        [TENANT, 'a', { one: null }],
        [TENANT, 'c', [3]],
      ]);
      await put(store, [{ key: 'a' }, { key: 'c' }]);
      await expectEntries(store, []);
      await store.close();
    },
  },
  {
    name: 'put keeps any key and any JSON as it is',
    async run(under) {
      const store = await under.open();
      const keys = ['"', '\\', '\t\n', ':', '{a}', '__proto__', 'é😀', 'x'.repeat(1_000)];
      const values = [null, '', 'a\tb\n😀', 0.1, false, [], {}, { deep: [{ '"': '\u0000' }] }];
      await put(
        store,
        keys.map((key, at) => ({ key, value: values[at] as JsonValue })),
      );
      const found = new Map((await entriesOf(store)).map(([, key, value]) => [key, value]));
      for (const [at, key] of keys.entries()) assert.deepEqual(found.get(key), values[at], key);
      assert.equal(found.size, keys.length);
      await store.close();
    },
  },
  {
    name: 'put counts the last of several changes of a key',
    async run(under) {
      const store = await under.open();
      await put(store, [
        { key: 'a', value: 1 },
        { key: 'b', value: 1 },
        { key: 'a', value: 2 },
        { key: 'b' },
        { key: 'c' },
        { key: 'c', value: 3 },
      ]);
      await expectEntries(store, [
        [TENANT, 'a', 2],
        [TENANT, 'c', 3],
      ]);
      await store.close();
    },
  },
  {
    name: 'put takes effect in the order of the calls, with the values at the call',
    async run(under) {
      const store = await under.open();
      const changing = { at: 0 };
      const puts: Promise<void>[] = [];
      for (let at = 1; at <= 20; at += 1) {
        changing.at = at;
        puts.push(put(store, [{ key: 'a', value: changing }]));
      }
      changing.at = 100;
      await Promise.all(puts);
      await expectEntries(store, [[TENANT, 'a', { at: 20 }]]);
      // The first change of another tenant, and its removal.
      await Promise.all([put(store, [{ key: 'a', value: 1 }], 'other'), put(store, [{ key: 'a' }], 'other')]);
      await expectEntries(store, [[TENANT, 'a', { at: 20 }]]);
      await store.close();
    },
  },
  {
    name: 'put keeps tenants apart',
    async run(under) {
      const store = await under.open();
      const tenants = ['a', 'a:b', 'b', '{a}'];
      for (const [at, tenantId] of tenants.entries()) await put(store, [{ key: 'b', value: at }], tenantId);
      await put(store, [{ key: 'b' }], 'b');
      await expectEntries(store, [
        ['a', 'b', 0],
        ['a:b', 'b', 1],
        ['{a}', 'b', 3],
      ]);
      await store.close();
    },
  },
];

function cycle(): JsonValue {
  const list: JsonValue[] = [];
  list.push([list]);
  return list;
}

/** Puts that are refused, and the code. */
const REFUSED: readonly (readonly [string, readonly EntryChange[], string])[] = [
  ['an empty key', [{ key: '', value: 1 }], 'invalid_request'],
  ['a key that is too long', [{ key: 'x'.repeat(1_001), value: 1 }], 'invalid_request'],
  ['a lone surrogate', [{ key: '\ud800', value: 1 }], 'invalid_request'],
  ['no JSON', [{ key: 'b', value: (() => 1) as unknown as JsonValue }], 'invalid_request'],
  ['a cycle', [{ key: 'b', value: cycle() }], 'invalid_request'],
  ['a BigInt', [{ key: 'b', value: 1n as unknown as JsonValue }], 'invalid_request'],
  ['too many', Array.from({ length: 10_001 }, (_, at) => ({ key: `${at}`, value: 1 })), 'invalid_request'],
  ['too much', [{ key: 'b', value: 'x'.repeat(2 ** 24) }], 'payload_too_large'],
];

const keepingCases: readonly EntryStoreCase[] = [
  {
    name: 'put refuses what no store accepts, and changes nothing',
    async run(under) {
      const store = await under.open();
      await put(store, [{ key: 'a', value: 1 }]);
      for (const [what, changes, code] of REFUSED) {
        const refused = put(store, [{ key: 'a', value: 2 }, ...changes]);
        await assert.rejects(refused, { code }, what);
      }
      await assert.rejects(put(store, [{ key: 'a', value: 2 }], ''), { code: 'invalid_request' });
      await expectEntries(store, [[TENANT, 'a', 1]]);
      await store.close();
    },
  },
  {
    name: 'entries has everything that was acknowledged, after it is opened again',
    async run(under) {
      const first = await under.open();
      await put(first, [
        { key: 'a', value: 1 },
        { key: 'b', value: 2 },
      ]);
      await put(first, [{ key: 'a' }]);
      await put(first, [{ key: 'c', value: 3 }], 'other');
      await first.close();
      const second = await under.open();
      await expectEntries(second, [
        [TENANT, 'b', 2],
        ['other', 'c', 3],
      ]);
      await put(second, [{ key: 'b' }]);
      await second.close();
      const third = await under.open();
      await expectEntries(third, [['other', 'c', 3]]);
      await third.close();
    },
  },
  {
    name: 'entries has each of many entries once',
    async run(under) {
      const store = await under.open();
      const changes = Array.from({ length: MANY }, (_, at) => ({ key: `key-${at}`, value: at }));
      await put(store, changes);
      const found = await entriesOf(store);
      assert.equal(found.length, MANY);
      assert.equal(new Set(found.map(([, key]) => key)).size, MANY);
      await put(
        store,
        changes.slice(1).map(({ key }) => ({ key })),
      );
      await expectEntries(store, [[TENANT, 'key-0', 0]]);
      await store.close();
    },
  },
  {
    name: 'entries ends when its signal does',
    async run(under) {
      const store = await under.open();
      await put(store, [{ key: 'a', value: 1 }]);
      const reason = new Error('no longer needed');
      const read = async () => {
        for await (const entry of store.entries({ signal: AbortSignal.abort(reason) })) assert.ok(entry);
      };
      await assert.rejects(read, reason);
      await store.close();
    },
  },
  {
    name: 'close waits for what was put before, and refuses what comes after',
    async run(under) {
      const store = await under.open();
      const before = put(store, [{ key: 'a', value: 1 }]);
      await store.close();
      await before;
      await assert.rejects(put(store, [{ key: 'b', value: 2 }]), { code: 'storage_unavailable' });
      const again = await under.open();
      await expectEntries(again, [[TENANT, 'a', 1]]);
      await again.close();
    },
  },
];

/** Requirements on every `EntryStore`, as data: host them in any test runner, with an empty store for each case. */
export const entryStoreConformance: readonly EntryStoreCase[] = [...changeCases, ...keepingCases];

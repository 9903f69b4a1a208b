import { describe, expect, it } from 'vitest';
import { entryStoreConformance, type EntryStoreUnderTest } from '../../src/conformance/index.js';
import { EntryFolder } from '../../src/file/entry-folder.js';
import type { EntryStore, PutEntriesParams, StoredEntry } from '../../src/storage/entry-store.js';
import { folder } from './folder.js';
import { MemoryDisk } from './memory-disk.js';

describe('a folder of entries', () => {
  it.each(entryStoreConformance)('$name', async (requirement) => {
    await using place = await folder();
    await requirement.run({ open: () => EntryFolder.open(place.path) });
  });

  it.each(entryStoreConformance)('$name, with a compaction after each change', async (requirement) => {
    await using place = await folder();
    const options = { durability: 'power', minGarbageBytes: 0 } as const;
    await requirement.run({ open: () => EntryFolder.open(place.path, options) });
  });
});

type Put = (params: PutEntriesParams) => Promise<void>;
type Entries = (of: AsyncIterable<StoredEntry>) => AsyncIterable<StoredEntry>;

interface Mistake {
  readonly put?: (put: Put, store: EntryStore) => Put;
  readonly entries?: Entries;
  readonly signal?: 'ignored';
  readonly close?: (store: EntryStore) => Promise<void>;
}

async function* only(
  entries: AsyncIterable<StoredEntry>,
  keeps: (entry: StoredEntry, at: number) => boolean,
) {
  let at = 0;
  for await (const entry of entries) if (keeps(entry, at++)) yield entry;
}

async function* twice(entries: AsyncIterable<StoredEntry>) {
  for await (const entry of entries) {
    yield entry;
    if (entry.key === 'key-7') yield entry;
  }
}

async function* renamed(entries: AsyncIterable<StoredEntry>) {
  for await (const entry of entries) yield { ...entry, tenantId: entry.tenantId.split(':')[0] ?? '' };
}

const MISTAKES: Readonly<Record<string, Mistake>> = {
  'removes nothing': {
    put: (put) => (params) =>
      put({ ...params, changes: params.changes.filter(({ value }) => value !== undefined) }),
  },
  'takes null for the removal of a key': {
    put: (put) => (params) =>
      put({
        ...params,
        changes: params.changes.map((change) => (change.value === null ? { key: change.key } : change)),
      }),
  },
  'reads the values later': {
    put: (put) => async (params) => {
      await new Promise((resolve) => setImmediate(resolve));
      await put(params);
    },
  },
  'counts the first change of a key': {
    put: (put) => (params) => put({ ...params, changes: params.changes.toReversed() }),
  },
  'has one tenant only': { put: (put) => (params) => put({ ...params, tenantId: 'acme' }) },
  'cuts tenants at a colon': { entries: renamed },
  'stores what is valid of an invalid put': {
    put: (put) => async (params) => {
      await put({ ...params, changes: params.changes.slice(0, 1) });
      await put(params);
    },
  },
  'accepts any key': {
    put: (put) => (params) =>
      put({ ...params, changes: params.changes.filter(({ key }) => key.length > 0 && key.length <= 1_000) }),
  },
  'has the first page only': { entries: (entries) => only(entries, (_, at) => at < 1_000) },
  'has an entry twice': { entries: twice },
  'reads on after its signal': { signal: 'ignored' },
  'acknowledges without storing': { put: () => async () => {} },
  'does not close': { close: async () => {} },
};

/** A store in a folder of its own, in memory, with one mistake. */
function broken({ put, entries, signal, close }: Mistake): EntryStoreUnderTest {
  const disk = new MemoryDisk();
  return {
    async open() {
      const options = { durability: 'power', disk } as const;
      const store = await EntryFolder.open('memory', options);
      const right: Put = (params) => store.put(params);
      return {
        put: put?.(right, store) ?? right,
        entries: (params) => {
          const read = store.entries(signal ? { signal: new AbortController().signal } : params);
          return entries?.(read) ?? read;
        },
        close: () => close?.(store) ?? store.close(),
      };
    },
  };
}

describe('the requirements on a store of entries', () => {
  it.each(Object.entries(MISTAKES))('refuse one that %s', async (_, mistake) => {
    const results = await Promise.allSettled(
      entryStoreConformance.map((requirement) => requirement.run(broken(mistake))),
    );
    expect(results.filter(({ status }) => status === 'rejected').length).toBeGreaterThan(0);
  });

  it('accept one without a mistake', async () => {
    for (const requirement of entryStoreConformance) await requirement.run(broken({}));
  });
});

import { randomUUID } from 'node:crypto';
import { sharedCluster, sharedRedis } from '@agent-orchestrator/test-servers';
import { runCase, storageConformance, titleOf } from '@agent-orchestrator/core/conformance';
import { afterAll, describe, expect, it } from 'vitest';
import { PortableFolder } from '@agent-orchestrator/core/server';
import { folder } from '../../core/test/file/folder.js';
import { canonical } from '../../core/test/portable-records.js';
import { runHistories } from '../../core/test/task-histories.js';
import { RedisPortableState, type RedisTarget } from '../src/index.js';
import { exported, imported } from './portable-storage.js';
import { KEPT_FOR_EVER } from '../../core/test/reference.js';
import { type OpenStorage, openStorage } from './storage-under-test.js';

const HOUR_MS = 60 * 60_000;

/** The storage a while after: its leases have expired, and its workers are gone. */
function idle(target: RedisTarget, subject: OpenStorage): RedisPortableState {
  const { prefix } = subject;
  const at = subject.now() + HOUR_MS;
  const clock = { now: () => at, monotonic: () => at, after: () => () => undefined };
  return RedisPortableState.connect(target, { prefix, clock });
}

const kinds = new Map<string, number>();

/** What a folder, a Redis and a Cluster make of the records is the same. */
async function expectRoundTrip(
  url: string,
  nodes: readonly string[] | undefined,
  subject: OpenStorage,
): Promise<void> {
  const at = subject.now() + HOUR_MS;
  const clock = { now: () => at, monotonic: () => at, after: () => () => undefined };
  const first = await exported(idle(url, subject));
  for (const line of first) {
    const { kind } = JSON.parse(line) as { kind?: string };
    if (kind !== undefined) kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }
  await using place = await folder();
  const inFolder = new PortableFolder(place.path, { clock });
  await imported(inFolder, first);
  const second = await exported(inFolder);
  expect(canonical(second)).toEqual(canonical(first));
  const target = nodes === undefined ? url : { nodes };
  const prefix = `test-${randomUUID().slice(0, 8)}`;
  await imported(RedisPortableState.connect(target, { prefix, clock }), second);
  const third = await exported(RedisPortableState.connect(target, { prefix, clock }));
  expect(canonical(third)).toEqual(canonical(first));
}

describe('a storage on Redis that is exported and imported', () => {
  afterAll(() => console.log('records', Object.fromEntries(kinds)));

  it.each(storageConformance.map((one) => [titleOf(one), one] as const))(
    'has the same records in a folder and in another Redis after the conformance case %s',
    async (_, one) => {
      const { url } = await sharedRedis();
      const subject = openStorage(url, { limits: one.limits ?? {} });
      try {
        await runCase(one, subject);
      } finally {
        await subject.close();
      }
      await expectRoundTrip(url, undefined, subject);
    },
  );

  it('has the same records after random histories, in a folder and in a Cluster', async () => {
    const { url } = await sharedRedis();
    const { nodes } = await sharedCluster();
    const open = async () => {
      const subject = openStorage(url, { limits: KEPT_FOR_EVER });
      let calls = 0;
      return {
        ...subject,
        advance: async (ms: number) => {
          calls += 1;
          if (calls === 12) await expectRoundTrip(url, nodes, subject);
          await subject.advance(ms);
        },
      };
    };
    await runHistories({ open, numRuns: 60, seed: 20_261_129, batches: true, shrink: false });
    for (const kind of ['tenant', 'session', 'messages', 'batch', 'task', 'journal', 'batch_items', 'key'])
      expect(kinds.get(kind), kind).toBeGreaterThan(0);
  }, 300_000);
});

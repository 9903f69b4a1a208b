import { FaultyProxy, RedisServer } from '@agent-orchestrator/test-servers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { storedBy, DeterministicStorage, withoutFaults, wordOf } from './deterministic-storage.js';
import { scriptDigest, WRITING_SCRIPTS } from './script-digests.js';
import { STEP_SCENARIOS } from './step-scenarios.js';

let redis: RedisServer;
/** Timeout of a step for a caller that gives up and repeats. */
const SHORT_TIMEOUT_MS = 2_500;

beforeAll(async () => {
  redis = await RedisServer.start();
});
afterAll(() => redis.stop());

/** Bytes of a reply that arrive before its connection breaks: none, or its beginning. */
const LOSSES = STEP_SCENARIOS.flatMap((scenario) =>
  [0, 3].map((bytes) => [scenario.title, bytes, scenario] as const),
);
/** Of a transaction whole answers may arrive: that of MULTI, and those of one or both queued commands. */
const PARTS = [5, 14, 23];
const TRANSACTIONS = STEP_SCENARIOS.filter(
  ({ script, title }) => script === 'submitFastBatch' || title.includes('large payloads'),
).flatMap((scenario) => PARTS.map((bytes) => [scenario.title, bytes, scenario] as const));

describe.concurrent('a lost reply of Redis', () => {
  it.each([...LOSSES, ...TRANSACTIONS])(
    'has the same outcome when the connection repeats the request: %s, after %d bytes',
    async (_, bytes, scenario) => {
      const before = await withoutFaults(redis, scenario);
      await using proxy = await FaultyProxy.start(redis.port);
      await using subject = new DeterministicStorage(proxy.url);
      const step = await scenario.prepare(subject.tools);
      proxy.cutReplyAfter(bytes, { to: await scriptDigest(scenario.script) });
      const answer = await step();
      expect(proxy.counters.cutReplies).toBe(1);
      expect(wordOf(answer)).toEqual(scenario.again ?? wordOf(before.answer));
      expect(await storedBy(redis, subject)).toEqual(before.kept);
    },
  );

  it.each(
    STEP_SCENARIOS.filter(({ isNewWhenRepeated }) => isNewWhenRepeated !== true).map(
      (scenario) => [scenario.title, scenario] as const,
    ),
  )('has the same outcome when the caller repeats the request after its timeout: %s', async (_, scenario) => {
    const before = await withoutFaults(redis, scenario);
    await using proxy = await FaultyProxy.start(redis.port);
    await using subject = new DeterministicStorage(proxy.url, SHORT_TIMEOUT_MS);
    const step = await scenario.prepare(subject.tools);
    proxy.swallowReplies();
    await expect(step()).rejects.toMatchObject({ code: 'storage_unavailable' });
    proxy.heal();
    // With several requests the last one may not have been sent yet.
    const words = [wordOf(before.answer), scenario.again ?? wordOf(before.answer)];
    expect(words).toContainEqual(wordOf(await step()));
    expect(await storedBy(redis, subject)).toEqual(before.kept);
  });
});

/** Steps besides, on a Cluster or for a follower: each is idempotent. */
const OTHER_SCRIPTS = [
  'dueTenants',
  'forgetTenant',
  'indexTenant',
  'joinRotations',
  'openPool',
  'readEvents',
  'sweptTenant',
  'advanceRotation',
  'claimFromTenant',
  'reconcileTenant',
  // See lost-import-replies.
  'holdImport',
  'importPortion',
];

describe('the scenarios of lost replies', () => {
  it('cover every script that writes', () => {
    const covered = new Set<string>([...STEP_SCENARIOS.map(({ script }) => script), ...OTHER_SCRIPTS]);
    expect(WRITING_SCRIPTS.filter((name) => !covered.has(name))).toEqual([]);
  });
});

import { FaultyProxy, RedisServer } from '@agent-orchestrator/test-servers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { keptBy, Life, undisturbed, wordOf } from './life.js';
import { scriptDigest, WRITING_SCRIPTS } from './script-digests.js';
import { STEP_STORIES } from './step-stories.js';

let redis: RedisServer;
/** How long a step of the impatient may take. */
const IMPATIENT_MS = 600;

beforeAll(async () => {
  redis = await RedisServer.start();
});
afterAll(() => redis.stop());

/** Of a reply so many bytes arrive before its connection breaks: none, or the beginning. */
const LOSSES = STEP_STORIES.flatMap((story) => [0, 3].map((bytes) => [story.title, bytes, story] as const));
/** Of a transaction whole answers may arrive: that it has begun, and that one or both commands are in it. */
const PARTS = [5, 14, 23];
const TRANSACTIONS = STEP_STORIES.filter(
  ({ script, title }) => script === 'submitFastBatch' || title.includes('much text'),
).flatMap((story) => PARTS.map((bytes) => [story.title, bytes, story] as const));

describe.concurrent('a reply of Redis that is lost', () => {
  it.each([...LOSSES, ...TRANSACTIONS])(
    'and the request is sent again by the connection: %s, after %d bytes',
    async (_, bytes, story) => {
      const before = await undisturbed(redis, story);
      await using proxy = await FaultyProxy.start(redis.port);
      await using life = new Life(proxy.url);
      const step = await story.prepare(life.tools);
      proxy.cutReplyAfter(bytes, { to: await scriptDigest(story.script) });
      const answer = await step();
      expect(proxy.counters.cutReplies).toBe(1);
      expect(wordOf(answer)).toEqual(story.again ?? wordOf(before.answer));
      expect(await keptBy(redis, life)).toEqual(before.kept);
    },
  );

  it.each(
    STEP_STORIES.filter(({ onlyResent }) => onlyResent !== true).map(
      (story) => [story.title, story] as const,
    ),
  )('and the caller, who has waited for long enough, asks again: %s', async (_, story) => {
    const before = await undisturbed(redis, story);
    await using proxy = await FaultyProxy.start(redis.port);
    await using life = new Life(proxy.url, IMPATIENT_MS);
    const step = await story.prepare(life.tools);
    proxy.swallowReplies();
    await expect(step()).rejects.toMatchObject({ code: 'storage_unavailable' });
    proxy.heal();
    // Of what takes several requests, the last one may not have been made yet.
    const words = [wordOf(before.answer), story.again ?? wordOf(before.answer)];
    expect(words).toContainEqual(wordOf(await step()));
    expect(await keptBy(redis, life)).toEqual(before.kept);
  });
});

/** Those that a step takes besides, on a Cluster or for whoever follows: each sets what it says, however often. */
const BESIDES = [
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
];

describe('the stories of lost replies', () => {
  it('are of every script that changes something', () => {
    const told = new Set<string>([...STEP_STORIES.map(({ script }) => script), ...BESIDES]);
    expect(WRITING_SCRIPTS.filter((name) => !told.has(name))).toEqual([]);
  });
});

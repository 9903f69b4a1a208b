import { OrchestratorError } from '@agent-orchestrator/core';
import { RedisServer } from '@agent-orchestrator/test-servers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SCRIPTS } from '../../packages/redis-adapter/src/generated/scripts.js';
import { keptBy, Life, undisturbed, wordOf } from './life.js';
import { STEP_STORIES, type StepStory } from './step-stories.js';

let redis: RedisServer;
/** Its own, since a limit is for everybody. */
let full: RedisServer;

beforeAll(async () => {
  [redis, full] = await Promise.all([RedisServer.start(), RedisServer.start()]);
});
afterAll(() => Promise.all([redis.stop(), full.stop()]));

const named = STEP_STORIES.map((story) => [story.title, story] as const);

/** Whether it takes something new on, which has to wait for room. */
const takesOn = ({ script }: StepStory) => !SCRIPTS[script].includes('allow-oom');
const isIntake = (story: StepStory) => story.isIntake === true || takesOn(story);

describe('a Redis without room', () => {
  it.each(named)('%s', async (_, story) => {
    const before = await undisturbed(full, story);
    await using life = new Life(full.url);
    const step = await story.prepare(life.tools);
    await full.ask(['CONFIG', 'SET', 'maxmemory', 1]);
    const answer = await step().catch((error: unknown) => error);
    await full.ask(['CONFIG', 'SET', 'maxmemory', 0]);
    if (isIntake(story)) {
      expect(answer).toMatchObject({ code: 'storage_unavailable', retryable: true });
      expect(await keptBy(full, life)).toEqual(before.before);
      expect(wordOf(await step())).toEqual(wordOf(before.answer));
    } else {
      expect(wordOf(answer)).toEqual(wordOf(before.answer));
      expect(await keptBy(full, life)).toEqual(before.kept);
    }
  });

  it('refuses submits, sessions and tickets, and nothing that ends or goes on with what was taken on', () => {
    const refused = STEP_STORIES.filter(takesOn).map(({ script }) => script);
    expect([...new Set(refused)].toSorted()).toEqual([
      'appendMessage',
      'createSession',
      'issueTicket',
      'redrive',
      'register',
      'stageBatch',
      'stageJournal',
      'submit',
      'submitBatch',
      'submitFast',
      'submitFastBatch',
      'updateSession',
    ]);
  });
});

/** Puts something else where a step has its key. */
async function putInTheWay(key: string): Promise<void> {
  const kind = await redis.ask(['TYPE', key]);
  await redis.ask(['DEL', key]);
  await redis.ask(kind === 'list' ? ['SET', key, 'foreign'] : ['RPUSH', key, 'foreign']);
}

/** What operators were told of tenants that a step for many of them left out. */
async function damagesIn({ storage }: Life): Promise<string[]> {
  storage.tell('last_event', 'nothing comes after this');
  const texts: string[] = [];
  for await (const { kind, text } of storage.systemEvents({
    signal: AbortSignal.timeout(5_000),
    recent: 1_000,
  })) {
    if (kind === 'last_event') return texts;
    if (kind === 'tenant_damaged') texts.push(text);
  }
  throw new Error('the systemEvents have no end');
}

describe.concurrent('a key of another type in the way', () => {
  it.each(named)('%s', async (_, story) => {
    const { keys } = await undisturbed(redis, story);
    const told: string[] = [];
    // The list of systemEvents is what this test itself reads.
    for (const key of keys.filter((each) => !/@change:|:system:notifications$/.test(each))) {
      await using life = new Life(redis.url);
      const step = await story.prepare(life.tools);
      await putInTheWay(`${life.prefix}${key}`);
      // A step that does not come by there goes on as ever.
      const error = await step().then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      const damages = await damagesIn(life);
      for (const text of damages) expect(text, key).toMatch(SAYS_OF_TENANT);
      if (error !== undefined) {
        expect(error, key).toBeInstanceOf(OrchestratorError);
        expect(error, key).toMatchObject({ code: 'internal_error', message: expect.stringMatching(SAYS) });
      }
      if (error !== undefined || damages.length > 0) told.push(key);
    }
    expect(told).not.toEqual([]);
  });
});

describe('a key of another type in the way of a batch', () => {
  const story = STEP_STORIES.find(
    ({ title }) => title === 'submitBatch: with an idempotency key',
  ) as StepStory;
  const names = ['@ready', '@created', '@due', '@live'].map((name) => [
    name,
    (id: string) => `:tasks:{${id}}:${name}`,
  ]);
  const keys = [...names, ['the log', (id: string) => `:events:{${id}}`]] as [
    string,
    (id: string) => string,
  ][];

  it.each(keys)('keeps all of it out, until it is away: %s', async (_, keyOf) => {
    const before = await undisturbed(redis, story);
    await using life = new Life(redis.url);
    const step = await story.prepare(life.tools);
    const key = `${life.prefix}${keyOf(life.tools.tenantId)}`;
    await redis.ask(['SET', key, 'foreign']);
    await expect(step()).rejects.toMatchObject({ code: 'internal_error' });
    await redis.ask(['DEL', key]);
    expect(await keptBy(redis, life)).toEqual(before.before);
    expect(wordOf(await step())).toBe('submitted');
    expect(await keptBy(redis, life)).toEqual(before.kept);
  });
});

/** Of a task whose record is not there any more there is nothing else to say. */
const SAYS = /^a key of the orchestrator holds something else|^a step of the storage failed/;
/** A step for many tenants goes on with the others. */
const SAYS_OF_TENANT =
  /^tenant \S+: (?:a key of the orchestrator holds something else|a step of the storage failed)/;

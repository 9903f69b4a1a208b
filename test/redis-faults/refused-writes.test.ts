import { OrchestratorError } from '@agent-orchestrator/core';
import { RedisServer } from '@agent-orchestrator/test-servers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SCRIPTS } from '../../packages/redis-adapter/src/generated/scripts.js';
import { storedBy, DeterministicStorage, withoutFaults, wordOf } from './deterministic-storage.js';
import { STEP_SCENARIOS, type StepScenario } from './step-scenarios.js';

let redis: RedisServer;
/** A server of its own, since its limit is for all clients. */
let full: RedisServer;

beforeAll(async () => {
  [redis, full] = await Promise.all([RedisServer.start(), RedisServer.start()]);
});
afterAll(() => Promise.all([redis.stop(), full.stop()]));

const named = STEP_SCENARIOS.map((scenario) => [scenario.title, scenario] as const);

/** Whether the script accepts new data, which has to wait for room. */
const acceptsData = ({ script }: StepScenario) => !SCRIPTS[script].includes('allow-oom');
const isIntake = (scenario: StepScenario) => scenario.isIntake === true || acceptsData(scenario);

describe('a Redis at maxmemory', () => {
  it.each(named)('%s', async (_, scenario) => {
    const before = await withoutFaults(full, scenario);
    await using subject = new DeterministicStorage(full.url);
    const step = await scenario.prepare(subject.tools);
    await full.ask(['CONFIG', 'SET', 'maxmemory', 1]);
    const answer = await step().catch((error: unknown) => error);
    await full.ask(['CONFIG', 'SET', 'maxmemory', 0]);
    if (isIntake(scenario)) {
      expect(answer).toMatchObject({ code: 'storage_unavailable', retryable: true });
      expect(await storedBy(full, subject)).toEqual(before.before);
      expect(wordOf(await step())).toEqual(wordOf(before.answer));
    } else {
      expect(wordOf(answer)).toEqual(wordOf(before.answer));
      expect(await storedBy(full, subject)).toEqual(before.kept);
    }
  });

  it('refuses submits, sessions, tickets and cached values, and no step that ends or continues accepted work', () => {
    const refused = STEP_SCENARIOS.filter(acceptsData).map(({ script }) => script);
    expect([...new Set(refused)].toSorted()).toEqual([
      'appendMessage',
      'createSession',
      'issueTicket',
      'putCached',
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

/** Replaces a key of a step by one of another type. */
async function replaceKey(key: string): Promise<void> {
  const kind = await redis.ask(['TYPE', key]);
  await redis.ask(['DEL', key]);
  await redis.ask(kind === 'list' ? ['SET', key, 'foreign'] : ['RPUSH', key, 'foreign']);
}

/** Texts of events for operators about tenants that a step for many of them left out. */
async function damageTexts({ storage }: DeterministicStorage): Promise<string[]> {
  storage.systemEvents.publish({ kind: 'last_event', text: 'nothing comes after this' });
  const texts: string[] = [];
  for await (const { kind, text } of storage.systemEvents.follow({
    signal: AbortSignal.timeout(5_000),
    recent: 1_000,
  })) {
    if (kind === 'last_event') return texts;
    if (kind === 'tenant_damaged') texts.push(text);
  }
  throw new Error('expected another system event, got the end of the stream');
}

/** Each key of a scenario is one more run of it. */
const EVERY_KEY_MS = 600_000;

describe.concurrent('a key of another type', { timeout: EVERY_KEY_MS }, () => {
  it.each(named)('%s', async (_, scenario) => {
    const { keys } = await withoutFaults(redis, scenario);
    const affected: string[] = [];
    // The stream of events for operators is what this test itself reads; the layout is compared before any step.
    for (const key of keys.filter((each) => !/@change:|:system:(?:notifications|layout)$/.test(each))) {
      await using subject = new DeterministicStorage(redis.url);
      const step = await scenario.prepare(subject.tools);
      await replaceKey(`${subject.prefix}${key}`);
      // A step that does not use the key is not affected.
      const error = await step().then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      const damages = await damageTexts(subject);
      for (const text of damages) expect(text, key).toMatch(TENANT_DAMAGE_TEXT);
      if (error !== undefined) {
        expect(error, key).toBeInstanceOf(OrchestratorError);
        expect(error, key).toMatchObject({
          code: 'internal_error',
          message: expect.stringMatching(DAMAGE_TEXT),
        });
      }
      if (error !== undefined || damages.length > 0) affected.push(key);
    }
    expect(affected).not.toEqual([]);
  });
});

describe('a key of another type for a batch', () => {
  const scenario = STEP_SCENARIOS.find(
    ({ title }) => title === 'submitBatch: with an idempotency key',
  ) as StepScenario;
  const names = ['@ready', '@created', '@due', '@live'].map((name) => [
    name,
    (id: string) => `:tasks:{${id}}:${name}`,
  ]);
  const keys = [...names, ['the log', (id: string) => `:events:{${id}}`]] as [
    string,
    (id: string) => string,
  ][];

  it.each(keys)('refuses the whole batch until the key is removed: %s', async (_, keyOf) => {
    const before = await withoutFaults(redis, scenario);
    await using subject = new DeterministicStorage(redis.url);
    const step = await scenario.prepare(subject.tools);
    const key = `${subject.prefix}${keyOf(subject.tools.tenantId)}`;
    await redis.ask(['SET', key, 'foreign']);
    await expect(step()).rejects.toMatchObject({ code: 'internal_error' });
    await redis.ask(['DEL', key]);
    expect(await storedBy(redis, subject)).toEqual(before.before);
    expect(wordOf(await step())).toBe('submitted');
    expect(await storedBy(redis, subject)).toEqual(before.kept);
  });
});

/** A missing record of a task has no other text. */
const DAMAGE_TEXT = /^a key of the orchestrator holds something else|^a step of the storage failed/;
/** A step for many tenants continues with the others. */
const TENANT_DAMAGE_TEXT =
  /^tenant \S+: (?:a key of the orchestrator holds something else|a step of the storage failed)/;

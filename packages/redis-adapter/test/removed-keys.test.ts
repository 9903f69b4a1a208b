import { systemRandom } from '@agent-orchestrator/core/storage';
import { CaseTools } from '@agent-orchestrator/core/conformance';
import { sharedCluster, sharedRedis } from '@agent-orchestrator/test-servers';
import { Cluster, Redis } from 'ioredis';
import { describe, expect, it } from 'vitest';
import { openStorage } from './storage-under-test.js';

const DAY_MS = 86_400_000;
const failure = { code: 'service_error', message: 'busy', retryable: false } as const;

/** One of everything that leaves keys. */
async function createOneOfEach(t: CaseTools): Promise<void> {
  // A job of a call that the next attempt has not inherited.
  const dropped = await t.withJob();
  await t.report(dropped.jobId, 1, { body: t.failure('no') });
  await t.settle(dropped.claim, { kind: 'retry', error: failure, delayMs: 1_000 });
  await t.storage.tasks.cancel({ ...t.where(dropped.claim), reason: 'enough', graceMs: 0 });
  // More calls than a step drops, ends or forgets.
  const many = await t.leased();
  for (let n = 0; n < 12; n += 1) {
    const step = t.callStep();
    await t.begin(many, step);
    await t.record(many, step, n < 6 ? t.failure('no') : { kind: 'accepted', jobId: t.name('job') });
  }
  await t.settle(many, { kind: 'retry', error: failure, delayMs: 0 });
  await t.pass(1);
  await t.settle(await t.claimOne(), { kind: 'completed', result: 1 });
  // A call that its service has accepted twice, with two job ids.
  const twice = await t.leased();
  const call = t.callStep();
  await t.begin(twice, call);
  for (const jobId of ['first-name', 'second-name']) await t.record(twice, call, { kind: 'accepted', jobId });
  await t.settle(twice, { kind: 'completed', result: 1 });
  const usage = { model: 'm', operation: 'o', tokens: 1, savedTokens: 0 };
  await t.storage.usage.add({ tenantId: t.tenantId, id: 'once', ...usage });
  for (let n = 0; n < 5; n += 1) await t.submit();
  for (const claim of await t.claim())
    await t.settle(claim, { kind: 'completed', result: 'x'.repeat(5_000) });
  const { claim, jobId, step } = await t.withJob();
  await t.report(jobId, 1);
  await t.begin(claim, { key: 'signal', kind: 'signal', name: 'signal go', signal: 'go' });
  await t.storage.tasks.signal({ ...t.where(claim), name: 'go', payload: 1, signalId: 'one' });
  await t.storage.tasks.signal({ ...t.where(claim), name: 'stop', payload: 1, signalId: 'two' });
  await t.settle(claim, { kind: 'retry', error: failure, delayMs: 0, drop: step.key });
  await t.pass(1);
  const again = await t.claimOne();
  await t.begin(again, t.callStep());
  await t.report('early', 1, { messageId: 'early' });
  await t.settle(again, { kind: 'failed', error: failure });
  await t.storage.tasks.redrive({ maxWaiting: 10_000, ...t.where(again), newTaskId: t.id() });
  const message = { message_id: 'm', role: 'user', content: 'hello' } as const;
  await t.submit({ session_id: 's' }, { message });
  await t.submit({ session_id: 's' });
  const items = [t.submission({ session_id: 's' }), t.submission(), { error: failure }];
  await t.storage.tasks.submitBatch({
    tenantId: t.tenantId,
    batch: { batchId: t.id(), maxInFlight: 1, failFast: false, items },
    maxWaiting: 100,
  });
  // Set aside for workers that do not exist.
  const foreign = [t.submission({ type: 'foreign' }), t.submission({ type: 'foreign', timeoutMs: 1_000 })];
  for (const submission of foreign)
    await t.storage.tasks.submit({ tenantId: t.tenantId, submission, maxWaiting: 100 });
  await t.claim({ workerId: 'another', max: 50 });
  // Deadlines out of the order of submission.
  await t.submit({ timeoutMs: 5 * DAY_MS });
  await t.submit({ timeoutMs: 1_000 });
  await t.submit({ runAt: t.now() + DAY_MS });
}

/** Both deployments: one server and a Cluster. */
const DEPLOYMENTS = {
  'one server': async () => {
    const { url } = await sharedRedis();
    return { target: url, client: new Redis(url) };
  },
  'a Cluster': async () => {
    const { nodes } = await sharedCluster();
    return { target: { nodes }, client: new Cluster([...nodes]) };
  },
} as const;

async function keysOf(client: Redis | Cluster, pattern: string): Promise<string[]> {
  const nodes = client instanceof Cluster ? client.nodes('master') : [client];
  return (await Promise.all(nodes.map((node) => node.keys(pattern)))).flat();
}

describe.each(Object.entries(DEPLOYMENTS))('on %s', (_, open) => {
  it('removes all keys of tasks, sessions and batches once they are past their retention', async () => {
    const { target, client } = await open();
    const subject = openStorage(target, { limits: { callsAtOnce: 2 } });
    try {
      const t = new CaseTools(subject, systemRandom);
      const workerId = t.id();
      await t.storage.workers.announce({ workerId, runs: t.runs() });
      await createOneOfEach(t);
      const before = await t.storage.events.head({ tenantId: t.tenantId });
      // A process that waits for completions.
      const waiting = new AbortController();
      const completions = t.storage.events.followCompletions({
        tenantId: t.tenantId,
        after: await t.beginning(),
        signal: waiting.signal,
      });
      await completions[Symbol.asyncIterator]().next();
      waiting.abort();
      for (let day = 0; day < 40; day += 1) await t.pass(DAY_MS / 2);
      const { counts } = await t.storage.tasks.counts({ tenantId: t.tenantId });
      expect(counts).toEqual({ pending: 0, processing: 0, completed: 0, failed: 0, cancelled: 0 });
      const left: string[] = [];
      for (const key of await keysOf(client, `${subject.prefix}:*`))
        // Expiring keys follow the clock of the server, which the test does not move.
        if ((await client.pttl(key)) < 0) left.push(key.slice(subject.prefix.length));
      expect(left.filter((key) => !/^:system:(?:notifications|layout)/.test(key))).toEqual([]);
      expect((await t.storage.tenants.list({ limit: 100 })).tenants).toEqual([]);
      // The tenant returns as a new one: its log has another epoch.
      await t.submit();
      const page = await t.storage.events.read({ tenantId: t.tenantId, after: before, limit: 10 });
      expect(page.gap).toBeDefined();
      expect(page.events).toHaveLength(1);
      expect(await t.claim()).toHaveLength(1);
    } finally {
      await subject.close();
      client.disconnect();
    }
  });
});

it('forgets a tenant that a crash left in the list of tenants, although a follower is connected', async () => {
  const { nodes } = await sharedCluster();
  const subject = openStorage({ nodes });
  const client = new Cluster([...nodes]);
  const following = new AbortController();
  try {
    const t = new CaseTools(subject, systemRandom);
    await t.lookedOver();
    await client.zadd(`${subject.prefix}:system:{queue}:tenants`, 0, t.tenantId);
    await client.zadd(`${subject.prefix}:system:{queue}:due`, t.now(), t.tenantId);
    const meta = `${subject.prefix}:tasks:{${t.tenantId}}:@meta`;
    const { tenantId } = t;
    const follow = t.storage.events.follow({
      tenantId,
      after: await t.beginning(),
      signal: following.signal,
    });
    const next = follow[Symbol.asyncIterator]().next();
    await expect.poll(() => client.hget(meta, 'followed')).not.toBeNull();
    await t.pass(0);
    expect((await t.storage.tenants.list({ limit: 100 })).tenants).toEqual([]);
    // The follower receives later events.
    await t.submit();
    expect((await next).done).toBe(false);
    expect(await client.pttl(meta)).toBe(-1);
  } finally {
    following.abort();
    await subject.close();
    client.disconnect();
  }
});

it('removes a task with many thousand calls that its attempts have not inherited', async () => {
  const { url } = await sharedRedis();
  const subject = openStorage(url);
  const redis = new Redis(url);
  try {
    const t = new CaseTools(subject, systemRandom);
    await t.submit();
    const claim = await t.claimOne();
    const step = t.callStep();
    await t.begin(claim, step);
    const answer = { kind: 'outcome', outcome: { ok: false, error: failure } } as const;
    const where = { ...t.where(claim), token: claim.token, journalRev: 0 };
    await t.storage.journal.record({ ...where, key: step.key, callId: step.call.callId, answer });
    await t.settle(claim, { kind: 'retry', error: failure, delayMs: 0 });
    const [key = ''] = await redis.keys(`${subject.prefix}:*:dropped`);
    expect(key).not.toBe('');
    // As many as the attempts of a large workflow leave behind.
    const calls = Array.from({ length: 20_000 }, (_, n) => [
      `call-${n}`,
      JSON.stringify({ id: `call-${n}`, service: 's', job: `job-${n}` }),
    ]).flat();
    await redis.hset(key, ...calls);
    const jobs = `${subject.prefix}:tasks:{${t.tenantId}}:@jobs`;
    await redis.hset(jobs, ...Array.from({ length: 20_000 }, (_, n) => [`s\njob-${n}`, `call-${n}`]).flat());
    for (let half = 0; half < 60; half += 1) await t.pass(DAY_MS / 2);
    const { counts } = await t.storage.tasks.counts({ tenantId: t.tenantId });
    expect(counts).toEqual({ pending: 0, processing: 0, completed: 0, failed: 0, cancelled: 0 });
    expect(await redis.exists(key, jobs)).toBe(0);
  } finally {
    await subject.close();
    redis.disconnect();
  }
});

it('trims the list of all tasks although the deadline of one is far away', async () => {
  const { url } = await sharedRedis();
  const subject = openStorage(url);
  const redis = new Redis(url);
  try {
    const t = new CaseTools(subject, systemRandom);
    const far = await t.submit({ timeoutMs: 20 * DAY_MS });
    for (let n = 0; n < 5; n += 1) await t.submit();
    for (let half = 0; half < 6; half += 1) await t.pass(DAY_MS / 2);
    expect(await redis.llen(`${subject.prefix}:tasks:{${t.tenantId}}:@created`)).toBe(0);
    const { tasks } = await t.storage.tasks.list({
      tenantId: t.tenantId,
      filter: { status: 'pending' },
      limit: 9,
    });
    expect(tasks.map(({ task_id }) => task_id)).toEqual([far.task_id]);
  } finally {
    await subject.close();
    redis.disconnect();
  }
});

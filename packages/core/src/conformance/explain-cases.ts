import assert from 'node:assert/strict';
import type { CaseTools, ConformanceCase } from './conformance-case.js';

async function reasonOf(t: CaseTools, taskId: string): Promise<string | undefined> {
  return (await t.storage.tasks.explain({ tenantId: t.tenantId, taskId }))?.reason;
}

/** Facts that a storage collects for `explain`: each decides a reason. */
export const explainCases: readonly ConformanceCase[] = [
  {
    part: 'tasks',
    method: 'explain',
    name: 'names the task that holds the session, but not for a parallel one',
    async run(t) {
      const session = t.name('session');
      const first = await t.submit({ session_id: session });
      const next = await t.submit({ session_id: session });
      const parallel = await t.submit({ session_id: session }, { onBusy: 'parallel' });
      assert.equal(await reasonOf(t, next.task_id), `session ${session} is busy with task ${first.task_id}`);
      assert.match((await reasonOf(t, parallel.task_id)) ?? '', /^no live worker runs this type/);
    },
  },
  {
    part: 'tasks',
    method: 'explain',
    name: 'counts the running tasks of a batch, and names its limit',
    async run(t) {
      const batchId = t.id();
      const items = [t.submission(), t.submission(), t.submission()];
      const batch = { batchId, items, maxInFlight: 2, failFast: false };
      await t.storage.tasks.submitBatch({ tenantId: t.tenantId, batch, maxWaiting: 1_000_000 });
      const [, , third] = items;
      const waiting = third?.task.task_id ?? '';
      assert.equal(await reasonOf(t, waiting), `batch ${batchId} has 2 of at most 2 in flight`);
    },
  },
  {
    part: 'tasks',
    method: 'explain',
    name: 'says that the tenant is paused, or at its limit',
    async run(t) {
      const { tenantId } = t;
      await t.storage.workers.announce({ workerId: t.id(), runs: t.runs() });
      await t.leased();
      const { task_id: taskId } = await t.submit();
      assert.equal(await reasonOf(t, taskId), '0 tasks of this tenant go first');
      await t.storage.tenants.configure({ tenantId, maxRunning: 1 });
      assert.equal(await reasonOf(t, taskId), 'the tenant has 1 of at most 1 tasks running');
      await t.storage.tenants.configure({ tenantId, paused: true });
      assert.equal(await reasonOf(t, taskId), `tenant "${tenantId}" is paused`);
    },
  },
  {
    part: 'tasks',
    method: 'explain',
    name: 'says when a delayed task becomes due',
    async run(t) {
      const runAt = t.now() + 60_000;
      const { task_id: taskId } = await t.submit({ runAt });
      assert.equal(await reasonOf(t, taskId), `not before ${new Date(runAt).toISOString()}`);
    },
  },
  {
    part: 'tasks',
    method: 'explain',
    name: 'names the worker and the attempt, and the reason of a cancellation',
    async run(t) {
      const claim = await t.leased();
      const worker = `worker-${t.tenantId}`;
      assert.equal(await reasonOf(t, claim.task.task_id), `worker ${worker} runs it, attempt 1`);
      await t.storage.tasks.cancel({ ...t.where(claim), reason: 'enough', graceMs: 30_000 });
      assert.equal(await reasonOf(t, claim.task.task_id), `worker ${worker} is to end it: enough`);
      await t.settle(claim, { kind: 'cancelled' });
      assert.equal(await reasonOf(t, claim.task.task_id), 'cancelled: enough');
    },
  },
  {
    part: 'tasks',
    method: 'explain',
    name: 'names what a parked task waits for: open calls, then other open steps, each in the order of its requests',
    async run(t) {
      const claim = await t.leased();
      const ended = t.callStep();
      await t.begin(claim, ended);
      await t.record(claim, ended, t.result(1));
      await t.begin(claim, { key: 'go', kind: 'signal', name: 'signal go', signal: 'go' });
      const named = t.callStep();
      await t.begin(claim, named);
      const jobId = t.name('job');
      await t.record(claim, named, { kind: 'accepted', jobId });
      await t.begin(claim, { key: 'sleep', kind: 'sleep', name: 'sleep', dueInMs: 60_000 });
      const until = new Date(t.now() + 60_000).toISOString();
      await t.begin(claim, t.callStep());
      await t.settle(claim, { kind: 'parked', journalRev: 1 });
      assert.equal(
        await reasonOf(t, claim.task.task_id),
        `waits for query.query (job ${jobId}), query.query, signal go, sleep until ${until}`,
      );
    },
  },
  {
    part: 'tasks',
    method: 'explain',
    name: 'names the version that a task has begun with, once only other versions run',
    async run(t) {
      const claim = await t.leased();
      await t.settle(claim, { kind: 'released' });
      await t.storage.workers.announce({ workerId: t.id(), runs: t.runs(2) });
      assert.equal(
        await reasonOf(t, claim.task.task_id),
        `no live worker runs this type, "${t.type}" in version 1`,
      );
    },
  },
];

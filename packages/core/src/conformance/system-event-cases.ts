import assert from 'node:assert/strict';
import type { PublishSystemEventParams, SystemEvent } from '../storage/system-events.js';
import type { CaseTools, ConformanceCase } from './conformance-case.js';

/** Limit of a wait for an event, ms. */
const WAIT_MS = 20_000;

/** Reads the storage's events from now on, and those before; other cases may have left some. */
class Follower {
  readonly #over = new AbortController();
  readonly #events: AsyncIterator<SystemEvent>;
  /** The first event is asked for at once: the follower is there before anything else happens. */
  #next: Promise<IteratorResult<SystemEvent>>;

  constructor(t: CaseTools, options: { readonly recent?: number } = {}) {
    const signal = AbortSignal.any([this.#over.signal, AbortSignal.timeout(WAIT_MS)]);
    const { systemEvents } = t.storage;
    this.#events = systemEvents.follow({ signal, ...options })[Symbol.asyncIterator]();
    this.#next = this.#events.next();
  }

  /** The next event that fits. */
  async find(fits: (event: SystemEvent) => boolean): Promise<SystemEvent> {
    for (;;) {
      const { done, value } = await this.#next;
      assert.ok(done !== true, 'expected an event, got the end');
      this.#next = this.#events.next();
      if (fits(value)) return value;
    }
  }

  /** Resolves once the follower has ended. */
  async end(): Promise<void> {
    this.#over.abort();
    while ((await this.#next).done !== true) this.#next = this.#events.next();
  }
}

/** Its fields without the time, which is checked. */
function untimed({ at, ...fields }: SystemEvent): object {
  assert.ok(Number.isSafeInteger(at) && at > 0, `expected a time in ms, got ${String(at)}`);
  return fields;
}

/** A case in which the storage publishes an event by itself. */
function publishes(
  method: string,
  kind: string,
  when: string,
  run: (t: CaseTools) => Promise<{ readonly fits: object }>,
): ConformanceCase {
  return {
    part: 'systemEvents',
    method: 'follow',
    name: `has ${kind} ${when}, by ${method}`,
    async run(t) {
      const follower = new Follower(t);
      const { fits } = await run(t);
      const found = await follower.find((event) =>
        Object.entries({ kind, ...fits }).every(([field, value]) => event[field] === value),
      );
      assert.ok(found.text.length > 0);
      await follower.end();
    },
  };
}

export const systemEventCases: readonly ConformanceCase[] = [
  {
    part: 'systemEvents',
    method: 'publish',
    name: 'returns at once without an answer, with and without fields, and changes nothing of the tenant it names',
    async run(t) {
      const { tenantId, storage } = t;
      await t.submit();
      const state = async () => ({
        tenant: await storage.tenants.get({ tenantId }),
        log: await t.log(),
      });
      const before = await state();
      const publish: (params: PublishSystemEventParams) => unknown = (params) =>
        storage.systemEvents.publish(params);
      assert.equal(publish({ kind: 'breaker_opened', text: 'circuit breaker opened' }), undefined);
      const fields = { tenant: tenantId, service: 'query' };
      assert.equal(publish({ kind: 'breaker_opened', text: 'für "query"\n', fields }), undefined);
      assert.deepEqual(await state(), before);
    },
  },
  {
    part: 'systemEvents',
    method: 'follow',
    name: 'has recent events, oldest first, then new ones, each once with its fields, and ends with its signal',
    async run(t) {
      const of = (service: string) => ({
        kind: 'breaker_opened',
        text: `für "${service}"\n`,
        fields: { tenant: t.tenantId, service },
      });
      const isMine = ({ tenant }: SystemEvent) => tenant === t.tenantId;
      const shown = (service: string) => {
        const { fields, ...event } = of(service);
        return { ...event, ...fields };
      };
      const follower = new Follower(t);
      for (const service of ['a', 'b']) t.storage.systemEvents.publish(of(service));
      for (const service of ['a', 'b'])
        assert.deepEqual(untimed(await follower.find(isMine)), shown(service));
      const later = new Follower(t);
      for (const service of ['a', 'b']) assert.deepEqual(untimed(await later.find(isMine)), shown(service));
      t.storage.systemEvents.publish(of('c'));
      for (const one of [follower, later]) {
        assert.deepEqual(untimed(await one.find(isMine)), shown('c'));
        await one.end();
      }
      const last = new Follower(t, { recent: 1 });
      assert.deepEqual(untimed(await last.find(isMine)), shown('c'));
      await last.end();
    },
  },
  publishes('queue.settle', 'dead_letter', 'when a task fails', async (t) => {
    const claim = await t.leased();
    const error = { code: 'workflow_error', message: 'no', retryable: false } as const;
    await t.settle(claim, { kind: 'failed', error });
    return { fits: { tenant: t.tenantId, task: claim.task.task_id } };
  }),
  publishes('queue.sweep', 'dead_letter', 'when a task has used up its time', async (t) => {
    const { task_id: task } = await t.submit({ timeoutMs: 1_000 });
    await t.pass(2_000);
    return { fits: { tenant: t.tenantId, task } };
  }),
  publishes('tasks.submit', 'tenant_at_limit', 'when a task is refused', async (t) => {
    const { tenantId } = t;
    const { answer } = await t.storage.tasks.submit({
      tenantId,
      submission: t.submission(),
      maxWaiting: 0,
    });
    assert.equal(answer, 'queue_full');
    return { fits: { tenant: tenantId } };
  }),
  publishes('journal.report', 'late_outcome', 'when a call has an outcome already', async (t) => {
    const { claim, jobId } = await t.withJob();
    await t.report(jobId, 'first', { messageId: 'first' });
    const { answer } = await t.report(jobId, 'second', { messageId: 'second' });
    assert.equal(answer, 'late');
    return { fits: { tenant: t.tenantId, task: claim.task.task_id, service: 'query' } };
  }),
  publishes('workers.announce', 'worker_joined', 'when a worker announces itself', async (t) => {
    const workerId = `joins-${t.tenantId}`;
    await t.storage.workers.announce({ workerId, runs: t.runs() });
    await t.storage.workers.leave({ workerId });
    return { fits: { worker: workerId } };
  }),
  publishes('workers.leave', 'worker_left', 'when a worker leaves', async (t) => {
    const workerId = `leaves-${t.tenantId}`;
    await t.storage.workers.announce({ workerId, runs: t.runs() });
    await t.storage.workers.leave({ workerId });
    return { fits: { worker: workerId } };
  }),
  publishes('queue.sweep', 'worker_lost', 'when a worker is silent', async (t) => {
    const workerId = `lost-${t.tenantId}`;
    await t.storage.workers.announce({ workerId, runs: t.runs(), leaseMs: 1_000 });
    await t.pass(2_000);
    return { fits: { worker: workerId } };
  }),
];

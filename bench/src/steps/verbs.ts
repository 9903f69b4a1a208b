import { randomUUID } from 'node:crypto';
import { type Storage } from '@agent-orchestrator/core';
import { DEFAULTS } from '@agent-orchestrator/core/protocol';
import { type NewTask, type Submission } from '@agent-orchestrator/core/storage';

/** A step of the storage at its limits, on a tenant of its own. */
export interface Verb {
  readonly name: string;
  /** Creates the preconditions; the returned function is measured. */
  prepare(at: Bench): Promise<() => Promise<unknown>>;
}

const AT_ONCE = 200;
const HALF_MIB = 'x'.repeat(512 * 1024);
const FAR_MS = 60 * 60_000;

/** A measured storage, with short forms of the usual steps. */
export class Bench {
  readonly tenantId = `t-${randomUUID().slice(0, 8)}`;
  readonly type = `type-${this.tenantId}`;

  constructor(
    readonly storage: Storage,
    /** Number of waiting tasks where there are many. */
    readonly waiting: number,
    /** Advances the clock of the storage. */
    readonly advance: (ms: number) => void,
  ) {}

  submission(more: Partial<NewTask> = {}, onBusy: Submission['onBusy'] = 'enqueue'): Submission {
    const task: NewTask = {
      task_id: randomUUID(),
      type: this.type,
      priority: 4,
      payload: {},
      metadata: {},
      timeoutMs: FAR_MS,
      maxAttempts: 5,
      ...more,
    };
    return { task, onBusy };
  }

  submit(more: Partial<NewTask> = {}) {
    return this.storage.tasks.submit({
      tenantId: this.tenantId,
      submission: this.submission(more),
      maxWaiting: Number.POSITIVE_INFINITY,
    });
  }

  async many(count: number, make: (n: number) => Promise<unknown>): Promise<void> {
    for (let from = 0; from < count; from += AT_ONCE)
      await Promise.all(Array.from({ length: Math.min(AT_ONCE, count - from) }, (_, at) => make(from + at)));
  }

  claim(max: number) {
    return this.storage.queue.claim({
      workerId: `w-${this.tenantId}`,
      claimId: randomUUID(),
      max,
      runs: [{ type: this.type, versions: [1] }],
      leaseMs: FAR_MS,
    });
  }

  /** Submits, claims and completes tasks. */
  async completed(count: number, result: string): Promise<void> {
    for (let n = 0; n < count; n += 1) {
      await this.submit();
      const [claim] = await this.claim(1);
      if (!claim) throw new Error('expected a task to be claimed');
      await this.settle(claim, { kind: 'completed', result });
    }
  }

  settle(
    { task, token }: { readonly task: { readonly task_id: string }; readonly token: string },
    settlement: Parameters<Storage['queue']['settle']>[0]['settlement'],
  ) {
    const { tenantId } = this;
    return this.storage.queue.settle({ tenantId, taskId: task.task_id, token, settlement });
  }

  async batch({
    session,
    ...more
  }: {
    readonly maxInFlight?: number;
    readonly failFast?: boolean;
    readonly session?: string;
  } = {}): Promise<string> {
    const batchId = randomUUID();
    const inSession = session === undefined ? {} : { session_id: session };
    const items = Array.from({ length: DEFAULTS.maxBatchItems }, () => this.submission(inSession));
    const batch = { batchId, maxInFlight: DEFAULTS.maxBatchItems, failFast: false, items, ...more };
    await this.storage.tasks.submitBatch({ tenantId: this.tenantId, batch, maxWaiting: 1_000_000 });
    return batchId;
  }
}

const failure = { code: 'service_error', message: 'down', retryable: false } as const;

export const VERBS: readonly Verb[] = [
  {
    name: 'close a session with many tasks in line',
    async prepare(at) {
      await at.many(at.waiting, () => at.submit({ session_id: 's' }));
      return () => at.storage.sessions.close({ tenantId: at.tenantId, sessionId: 's', graceMs: 0 });
    },
  },
  {
    name: 'show a session with many tasks in line',
    async prepare(at) {
      await at.many(at.waiting, () => at.submit({ session_id: 's' }));
      return () => at.storage.sessions.get({ tenantId: at.tenantId, sessionId: 's' });
    },
  },
  {
    name: 'submit a batch of 1,000',
    prepare: async (at) => () => at.batch({ maxInFlight: 10 }),
  },
  {
    name: 'cancel a batch of 1,000',
    async prepare(at) {
      const batchId = await at.batch({ maxInFlight: 10 });
      const { tenantId } = at;
      return () => at.storage.tasks.cancelBatch({ tenantId, batchId, reason: 'enough', graceMs: 0 });
    },
  },
  {
    name: 'fail a batch of 1,000 with its first failure',
    async prepare(at) {
      await at.batch({ maxInFlight: 10, failFast: true });
      const [claim] = await at.claim(1);
      if (!claim) throw new Error('expected a task to be claimed');
      return async () => {
        await at.settle(claim, { kind: 'failed', error: failure });
        await at.storage.queue.sweep({ max: 1_000 });
      };
    },
  },
  {
    name: 'sweep 1,000 deadlines',
    async prepare(at) {
      await at.many(1_000, () => at.submit({ timeoutMs: 1_000 }));
      at.advance(2_000);
      return () => at.storage.queue.sweep({ max: 1_000 });
    },
  },
  {
    name: 'sweep 1,000 tasks whose time has come',
    async prepare(at) {
      await at.many(1_000, () => at.submit({ runAt: Date.now() + 10 * FAR_MS }));
      at.advance(10 * FAR_MS + 60_000);
      return () => at.storage.queue.sweep({ max: 1_000 });
    },
  },
  {
    name: 'list tasks of a type that there are none of',
    async prepare(at) {
      await at.many(at.waiting, () => at.submit());
      const { tenantId } = at;
      return () => at.storage.tasks.list({ tenantId, filter: { type: 'other' }, limit: 50 });
    },
  },
  {
    name: 'list the oldest tasks',
    async prepare(at) {
      await at.many(at.waiting, () => at.submit());
      const { tenantId } = at;
      return () => at.storage.tasks.list({ tenantId, filter: {}, limit: 50, after: '60' });
    },
  },
  {
    name: 'list 50 tasks of 0.5 MiB',
    async prepare(at) {
      await at.many(50, () => at.submit({ payload: HALF_MIB }));
      return () => at.storage.tasks.list({ tenantId: at.tenantId, filter: {}, limit: 50 });
    },
  },
  {
    name: 'list tasks that failed, where 100 have results of 0.5 MiB',
    async prepare(at) {
      await at.completed(100, HALF_MIB);
      return () => at.storage.tasks.list({ tenantId: at.tenantId, filter: { status: 'failed' }, limit: 50 });
    },
  },
  {
    name: 'list closed sessions, of 5,000 that are active',
    async prepare(at) {
      const { tenantId } = at;
      await at.many(5_000, (n) =>
        at.storage.sessions.create({ tenantId, sessionId: `s-${n}`, context: { n } }),
      );
      return () => at.storage.sessions.list({ tenantId, status: 'closed', limit: 50 });
    },
  },
  {
    name: 'list 50 sessions with contexts of 0.5 MiB',
    async prepare(at) {
      const { tenantId } = at;
      await at.many(50, (n) =>
        at.storage.sessions.create({ tenantId, sessionId: `s-${n}`, context: { text: HALF_MIB } }),
      );
      return () => at.storage.sessions.list({ tenantId, limit: 50 });
    },
  },
  {
    name: 'show a batch with 100 results of 0.5 MiB',
    async prepare(at) {
      const batchId = await at.batch();
      for (let n = 0; n < 100; n += 1) {
        const [claim] = await at.claim(1);
        if (claim) await at.settle(claim, { kind: 'completed', result: HALF_MIB });
      }
      const { tenantId } = at;
      return async () => {
        await at.storage.tasks.getBatch({ tenantId, batchId });
        await at.storage.tasks.getBatch({ tenantId, batchId, results: true });
      };
    },
  },
  {
    name: 'messages of a session, 200 of 0.5 MiB',
    async prepare(at) {
      const where = { tenantId: at.tenantId, sessionId: 's' };
      await at.storage.sessions.create({ ...where, context: {} });
      for (let n = 0; n < 200; n += 1)
        await at.storage.sessions.append({
          ...where,
          message: { message_id: `m${n}`, role: 'user', content: HALF_MIB },
        });
      return () => at.storage.sessions.messages({ ...where, limit: 200 });
    },
  },
  {
    name: 'read 1,000 events, 100 with results of 0.5 MiB',
    async prepare(at) {
      await at.completed(100, HALF_MIB);
      await at.many(700, () => at.submit());
      const { tenantId } = at;
      const head = await at.storage.events.head({ tenantId });
      const after = `${head.split(':')[0]}:0`;
      return () => at.storage.events.read({ tenantId, after, limit: 1_000 });
    },
  },
  {
    name: 'claim a task with a journal of 15 MiB',
    async prepare(at) {
      await at.submit();
      const [claim] = await at.claim(1);
      if (!claim) throw new Error('expected a task to be claimed');
      const where = { tenantId: at.tenantId, taskId: claim.task.task_id, token: claim.token };
      for (let n = 0; n < 30; n += 1) {
        const step = { key: `s${n}`, kind: 'run', name: 'run' } as const;
        await at.storage.journal.begin({ ...where, journalRev: n, step, maxSteps: 1_000 });
        const answer = { kind: 'outcome', outcome: { ok: true, value: HALF_MIB } } as const;
        await at.storage.journal.record({ ...where, journalRev: n, key: step.key, answer });
      }
      await at.settle(claim, { kind: 'released' });
      return () => at.claim(1);
    },
  },
  {
    name: 'counts, and explain, of many that wait',
    async prepare(at) {
      await at.many(at.waiting, () => at.submit({ session_id: 's' }));
      const last = at.submission();
      const { tenantId } = at;
      await at.storage.tasks.submit({ tenantId, submission: last, maxWaiting: 1e9 });
      return async () => {
        await at.storage.tenants.get({ tenantId });
        await at.storage.tasks.explain({ tenantId, taskId: last.task.task_id });
      };
    },
  },
];

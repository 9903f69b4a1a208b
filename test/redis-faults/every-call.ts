import { OrchestratorError, type Storage } from '@agent-orchestrator/core';

const TASK = '00000000-0000-4000-8000-000000000001';
const where = { tenantId: 'acme', taskId: TASK };
const inSession = { tenantId: 'acme', sessionId: 'talk' };
const cached = { tenantId: 'acme', digest: 'd', token: 't' };
const runs = [{ type: 'work', versions: [1] }];
const outcome = { kind: 'outcome', outcome: { ok: true, value: 1 } } as const;
const task = {
  task_id: TASK,
  type: 'work',
  priority: 4,
  payload: {},
  metadata: {},
  timeoutMs: 60_000,
  maxAttempts: 5,
};
const submission = { task, onBusy: 'enqueue' } as const;
const own = { key: 'own', kind: 'run', name: 'own' } as const;

/**
 * Kind of a call for its caller: it accepts something new, ends or continues accepted work, or only reads.
 */
export type CallKind = 'intake' | 'work' | 'read';

type Call = readonly [name: string, kind: CallKind, run: (storage: Storage) => Promise<unknown>];

async function first<T>(items: AsyncIterable<T>): Promise<T | undefined> {
  for await (const item of items) return item;
  return undefined;
}

/** Each method of a storage once, except `close`. */
const EVERY_CALL: readonly Call[] = [
  ['ping', 'read', (s) => s.ping()],
  ['tasks.submit', 'intake', (s) => s.tasks.submit({ tenantId: 'acme', submission, maxWaiting: 9 })],
  [
    'tasks.submit with a key',
    'intake',
    (s) =>
      s.tasks.submit({
        tenantId: 'acme',
        submission,
        maxWaiting: 9,
        idempotency: { key: 'k', fingerprint: 'f' },
      }),
  ],
  [
    'tasks.submitBatch',
    'intake',
    (s) =>
      s.tasks.submitBatch({
        tenantId: 'acme',
        batch: { batchId: 'b', maxInFlight: 1, failFast: false, items: [submission] },
        maxWaiting: 9,
      }),
  ],
  ['tasks.register', 'intake', (s) => s.tasks.register({ maxWaiting: 10_000, tenantId: 'acme', task })],
  ['tasks.finish', 'work', (s) => s.tasks.finish({ ...where, outcome: { kind: 'completed', result: 1 } })],
  ['tasks.progress', 'work', (s) => s.tasks.progress({ ...where, progress: { percent: 1 } })],
  ['tasks.get', 'read', (s) => s.tasks.get(where)],
  ['tasks.list', 'read', (s) => s.tasks.list({ tenantId: 'acme', filter: {}, limit: 10 })],
  ['tasks.counts', 'read', (s) => s.tasks.counts({ tenantId: 'acme' })],
  ['tasks.cancel', 'work', (s) => s.tasks.cancel({ ...where, reason: 'enough', graceMs: 1 })],
  ['tasks.getBatch', 'read', (s) => s.tasks.getBatch({ tenantId: 'acme', batchId: 'b' })],
  [
    'tasks.cancelBatch',
    'work',
    (s) => s.tasks.cancelBatch({ tenantId: 'acme', batchId: 'b', reason: 'enough', graceMs: 1 }),
  ],
  ['tasks.signal', 'work', (s) => s.tasks.signal({ ...where, name: 'go', payload: 1, signalId: 's' })],
  ['tasks.redrive', 'read', (s) => s.tasks.redrive({ maxWaiting: 10_000, ...where, newTaskId: TASK })],
  ['tasks.discard', 'work', (s) => s.tasks.discard(where)],
  ['tasks.firstReady', 'read', (s) => s.tasks.firstReady({ tenantId: 'acme', limit: 10 })],
  ['tasks.explain', 'read', (s) => s.tasks.explain(where)],
  [
    'queue.claim',
    'work',
    (s) => s.queue.claim({ workerId: 'w', claimId: 'c', max: 1, runs, leaseMs: 1_000 }),
  ],
  ['queue.renew', 'work', (s) => s.queue.renew({ leases: [{ ...where, token: 't' }], leaseMs: 1_000 })],
  [
    'queue.settle',
    'work',
    (s) => s.queue.settle({ ...where, token: 't', settlement: { kind: 'completed', result: 1 } }),
  ],
  [
    'queue.settle, parked',
    'work',
    (s) => s.queue.settle({ ...where, token: 't', settlement: { kind: 'parked', journalRev: 0 } }),
  ],
  ['queue.wake', 'work', (s) => s.queue.wake(where)],
  ['queue.sweep', 'work', (s) => s.queue.sweep({ max: 10 })],
  [
    'journal.begin',
    'work',
    (s) => s.journal.begin({ ...where, token: 't', journalRev: 0, step: own, maxSteps: 10 }),
  ],
  [
    'journal.record',
    'work',
    (s) => s.journal.record({ ...where, token: 't', journalRev: 0, key: 'own', answer: outcome }),
  ],
  ['journal.read', 'read', (s) => s.journal.read({ ...where, token: 't', after: 0 })],
  ['journal.changesSince', 'read', (s) => s.journal.changesSince({ ...where, token: 't', journalRev: 0 })],
  [
    'journal.report',
    'work',
    (s) => s.journal.report({ tenantId: 'acme', service: 'query', jobId: 'j', body: outcome }),
  ],
  ['journal.heldReport', 'read', (s) => s.journal.heldReport({ tenantId: 'acme', heldId: 'h' })],
  ['sessions.create', 'intake', (s) => s.sessions.create({ ...inSession, context: {} })],
  ['sessions.get', 'read', (s) => s.sessions.get(inSession)],
  // The session does not exist, so this only reads.
  ['sessions.update', 'read', (s) => s.sessions.update({ ...inSession, context: { a: 1 } })],
  [
    'sessions.append',
    'intake',
    (s) => s.sessions.append({ ...inSession, message: { message_id: 'm', role: 'user', content: 'hello' } }),
  ],
  ['sessions.messages', 'read', (s) => s.sessions.messages({ ...inSession, limit: 10 })],
  ['sessions.list', 'read', (s) => s.sessions.list({ tenantId: 'acme', limit: 10 })],
  ['sessions.close', 'work', (s) => s.sessions.close({ ...inSession, graceMs: 1 })],
  // These may register a follower.
  ['events.head', 'work', (s) => s.events.head({ tenantId: 'acme' })],
  ['events.read', 'work', (s) => s.events.read({ tenantId: 'acme', after: 'new:0', limit: 10 })],
  [
    'events.follow',
    'work',
    (s) => first(s.events.follow({ tenantId: 'acme', after: 'x:1', signal: new AbortController().signal })),
  ],
  [
    'events.followCompletions',
    'work',
    (s) =>
      first(
        s.events.followCompletions({ tenantId: 'acme', after: 'x:1', signal: new AbortController().signal }),
      ),
  ],
  [
    'usage.add',
    'work',
    (s) => s.usage.add({ tenantId: 'acme', id: 'u', model: 'm', operation: 'o', tokens: 1, savedTokens: 0 }),
  ],
  ['usage.sum', 'read', (s) => s.usage.sum({ tenantId: 'acme', from: '2026-01-01', to: '2026-12-31' })],
  [
    'tickets.issue',
    'intake',
    (s) => s.tickets.issue({ tenantId: 'acme', ticketId: 't', content: 'c', lifeMs: 30_000, maxOpen: 9 }),
  ],
  [
    'rates.lease',
    'work',
    (s) => s.rates.lease({ tenantId: 'acme', name: 'r', leaseId: 'l', perMinute: 60, burst: 9, wanted: 1 }),
  ],
  ['tickets.spend', 'work', (s) => s.tickets.spend({ tenantId: 'acme', ticketId: 't', spendId: 's' })],
  ['cache.claim', 'work', (s) => s.cache.claim({ ...cached, kind: 'k', leaseMs: 30_000 })],
  ['cache.renew', 'work', (s) => s.cache.renew({ ...cached, leaseMs: 30_000 })],
  ['cache.put', 'intake', (s) => s.cache.put({ ...cached, value: 1, tokens: 1, ttlMs: 60_000 })],
  ['cache.remove', 'work', (s) => s.cache.remove(cached)],
  ['cache.invalidate', 'work', (s) => s.cache.invalidate({ tenantId: 'acme' })],
  ['tenants.get', 'read', (s) => s.tenants.get({ tenantId: 'acme' })],
  ['tenants.configure', 'work', (s) => s.tenants.configure({ tenantId: 'acme', weight: 2 })],
  ['tenants.list', 'read', (s) => s.tenants.list({ limit: 10 })],
  ['workers.announce', 'work', (s) => s.workers.announce({ workerId: 'w', runs })],
  ['workers.leave', 'work', (s) => s.workers.leave({ workerId: 'w' })],
  ['workers.announced', 'read', (s) => s.workers.announced({ type: 'work' })],
  ['workers.list', 'read', (s) => s.workers.list()],
];

export interface Outcome {
  readonly name: string;
  readonly kind: CallKind;
  /** `answered`, the code of the error, or another outcome. */
  readonly outcome: string;
  readonly message: string;
  readonly ms: number;
}

/** Runs all calls at once. A call that has not settled within `limitMs` hangs. */
export function runEveryCall(storage: Storage, limitMs: number): Promise<readonly Outcome[]> {
  return Promise.all(
    EVERY_CALL.map(async ([name, kind, run]) => {
      const begun = Date.now();
      const { outcome, message } = await new Promise<{ outcome: string; message: string }>((resolve) => {
        const timer = setTimeout(() => resolve({ outcome: 'hangs', message: '' }), limitMs);
        run(storage)
          .then(
            () => resolve({ outcome: 'answered', message: '' }),
            (error: unknown) => resolve({ outcome: outcomeOf(error), message: (error as Error).message }),
          )
          .finally(() => clearTimeout(timer));
      });
      return { name, kind, outcome, message, ms: Date.now() - begun };
    }),
  );
}

function outcomeOf(error: unknown): string {
  return error instanceof OrchestratorError ? error.code : `foreign: ${String(error)}`;
}

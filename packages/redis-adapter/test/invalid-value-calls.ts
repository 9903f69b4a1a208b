import { randomUUID } from 'node:crypto';
import type { Storage } from '@agent-orchestrator/core';

type Params = Readonly<Record<string, unknown>>;

/** Names that both storages use in one trial, and no other trial does. */
export interface Names {
  readonly tenantId: string;
  readonly taskId: string;
  readonly sessionId: string;
  readonly type: string;
  readonly token: string;
  readonly id: string;
}

/** A method with all its parameters, in a state in which it has an effect. */
export interface StorageCall {
  /** `part.method`, and its variant. */
  readonly title: string;
  readonly setUp?: (storage: Storage, names: Names) => Promise<unknown>;
  readonly params: (names: Names) => Params;
}

export function newNames(): Names {
  const unique = randomUUID().slice(0, 8);
  return {
    tenantId: `t-${unique}`,
    taskId: randomUUID(),
    sessionId: `s-${unique}`,
    // One for all trials: each set of types that workers run has a rotation of its own.
    type: 'invalid',
    token: `claim-${unique}`,
    id: `id-${unique}`,
  };
}

const error = { code: 'service_error', message: 'failed', retryable: true };
const diagnostic = { message: 'failed', causes: ['why'], stack: 'Error: failed' };
const payload = { text: 'words', list: [1, { deep: true }] };
const metadata = { source: 'api', user_id: 'u', traceparent: 't', timeout_ms: 60_000 };
const runsOf = ({ type }: Names) => [{ type, versions: [1], timeoutMs: 5_000, maxAttempts: 2 }];
const newTask = ({ taskId, type, sessionId }: Names) => ({
  task_id: taskId,
  type,
  priority: 4,
  payload,
  metadata,
  session_id: sessionId,
  agent_id: 'agent',
  parent_task_id: taskId,
  timeoutMs: 600_000,
  maxAttempts: 3,
});
const submission = (names: Names) => ({
  task: newTask(names),
  onBusy: 'enqueue' as const,
  message: { message_id: 'm', role: 'user' as const, content: 'hello' },
});

async function submitted(storage: Storage, names: Names): Promise<void> {
  await storage.tasks.submit({
    tenantId: names.tenantId,
    submission: submission(names),
    maxWaiting: 9,
  } as never);
}

async function leased(storage: Storage, names: Names): Promise<void> {
  await submitted(storage, names);
  const { token: claimId } = names;
  await storage.queue.claim({ workerId: names.id, claimId, max: 1, runs: runsOf(names), leaseMs: 30_000 });
}

const inTask = ({ tenantId, taskId }: Names) => ({ tenantId, taskId });
const inLease = (names: Names) => ({ ...inTask(names), token: names.token });
const inCache = ({ tenantId, id, token }: Names) => ({ tenantId, digest: id, token });
const cacheClaim = ({ sessionId }: Names) => ({ leaseMs: 30_000, kind: 'k', collection: 'docs', sessionId });
const cacheClaimed = (storage: Storage, names: Names) =>
  storage.cache.claim({ ...inCache(names), ...cacheClaim(names) });
const inSession = ({ tenantId, sessionId }: Names) => ({ tenantId, sessionId });
const callStep = (names: Names) => ({
  key: 'ask',
  kind: 'call' as const,
  name: 'query.query',
  call: {
    callId: `call-${names.id}`,
    service: 'query',
    operation: 'query',
    maxTries: 2,
    retryDelayMs: 100,
    silenceMs: 60_000,
  },
});

async function called(storage: Storage, names: Names): Promise<void> {
  await leased(storage, names);
  await storage.journal.begin({ ...inLease(names), journalRev: 0, step: callStep(names), maxSteps: 10 });
}

async function accepted(storage: Storage, names: Names): Promise<void> {
  await called(storage, names);
  const answer = { kind: 'accepted', jobId: 'job' } as const;
  await storage.journal.record({
    ...inLease(names),
    journalRev: 0,
    key: 'ask',
    callId: `call-${names.id}`,
    answer,
  });
}

async function failed(storage: Storage, names: Names): Promise<void> {
  await leased(storage, names);
  const settlement = { kind: 'failed', error: { ...error, retryable: false }, diagnostic } as never;
  await storage.queue.settle({ ...inLease(names), settlement });
}

const sessionCreated = (storage: Storage, names: Names) =>
  storage.sessions.create({ ...inSession(names), agentId: 'agent', context: { a: 1 } });

async function batched(storage: Storage, names: Names): Promise<void> {
  await storage.tasks.submitBatch(batch(names) as never);
}
const batch = (names: Names) => ({
  tenantId: names.tenantId,
  batch: {
    batchId: names.id,
    maxInFlight: 2,
    failFast: false,
    items: [submission(names), { error: { ...error, code: 'invalid_request' } }],
  },
  idempotency: { key: 'key', fingerprint: 'print' },
  maxWaiting: 9,
});

const settling = (title: string, settlement: object): StorageCall => ({
  title: `queue.settle ${title}`,
  setUp: leased,
  params: (names) => ({ ...inLease(names), settlement }),
});
const beginning = (title: string, step: (names: Names) => object): StorageCall => ({
  title: `journal.begin ${title}`,
  setUp: leased,
  params: (names) => ({ ...inLease(names), journalRev: 0, step: step(names), maxSteps: 10 }),
});
const recording = (title: string, answer: object): StorageCall => ({
  title: `journal.record ${title}`,
  setUp: called,
  params: (names) => ({ ...inLease(names), journalRev: 0, key: 'ask', callId: `call-${names.id}`, answer }),
});
const recordingRun = (title: string, answer: object): StorageCall => ({
  title: `journal.record ${title}`,
  setUp: called,
  params: (names) => {
    const create = { name: 'run own', maxSteps: 10 };
    return { ...inLease(names), journalRev: 0, key: 'own', answer, create };
  },
});
const reporting = (title: string, body: object): StorageCall => ({
  title: `journal.report ${title}`,
  setUp: accepted,
  params: (names) => ({
    tenantId: names.tenantId,
    service: 'query',
    jobId: 'job',
    callId: `call-${names.id}`,
    taskId: names.taskId,
    messageId: 'message',
    seq: 3,
    metadata: { note: 'n' },
    body,
  }),
});
const usage = { tokens: 12.5, model: 'm', saved_tokens: 3.5 };
const succeeded = { kind: 'outcome', outcome: { ok: true, value: payload }, usage };
const failedOutcome = { kind: 'outcome', outcome: { ok: false, error }, usage };

/** Every method of a storage that takes parameters, except the two that return a stream. */
export const STORAGE_CALLS: readonly StorageCall[] = [
  {
    title: 'tasks.submit',
    params: (names) => ({
      tenantId: names.tenantId,
      submission: submission(names),
      idempotency: { key: 'key', fingerprint: 'print' },
      maxWaiting: 9,
    }),
  },
  {
    title: 'tasks.submit alone',
    params: ({ tenantId, taskId: task_id, type }) => ({
      tenantId,
      submission: {
        task: { task_id, type, priority: 4, payload, metadata: {}, timeoutMs: 60_000, maxAttempts: 3 },
        onBusy: 'enqueue',
      },
      maxWaiting: 9,
    }),
  },
  { title: 'tasks.submitBatch', params: batch },
  { title: 'tasks.getBatch', setUp: batched, params: ({ tenantId, id }) => ({ tenantId, batchId: id }) },
  {
    title: 'tasks.cancelBatch',
    setUp: batched,
    params: ({ tenantId, id }) => ({ tenantId, batchId: id, reason: 'enough', graceMs: 100 }),
  },
  {
    title: 'tasks.register',
    params: (names) => ({
      tenantId: names.tenantId,
      task: newTask(names),
      call: {
        callId: `call-${names.id}`,
        service: 'query',
        operation: 'query',
        jobId: 'job',
        silenceMs: 1_000,
      },
    }),
  },
  {
    title: 'tasks.finish',
    setUp: (storage, names) =>
      storage.tasks.register({ maxWaiting: 10_000, tenantId: names.tenantId, task: newTask(names) } as never),
    params: (names) => ({ ...inTask(names), outcome: { kind: 'completed', result: payload } }),
  },
  {
    title: 'tasks.progress',
    setUp: leased,
    params: (names) => ({ ...inLease(names), progress: { percent: 5, message: 'on' } }),
  },
  { title: 'tasks.get', setUp: submitted, params: inTask },
  {
    title: 'tasks.list',
    setUp: submitted,
    params: ({ tenantId, sessionId, type }) => ({
      tenantId,
      filter: { status: 'pending', type, sessionId, code: 'timeout', since: 1, idPrefix: 'a' },
      limit: 10,
      after: '100',
    }),
  },
  { title: 'tasks.counts', setUp: submitted, params: ({ tenantId }) => ({ tenantId }) },
  {
    title: 'tasks.cancel',
    setUp: submitted,
    params: (names) => ({ ...inTask(names), reason: 'enough', graceMs: 100 }),
  },
  {
    title: 'tasks.signal',
    setUp: leased,
    params: (names) => ({ ...inTask(names), name: 'go', payload, signalId: names.id }),
  },
  { title: 'tasks.redrive', setUp: failed, params: (names) => ({ ...inTask(names), newTaskId: names.id }) },
  { title: 'tasks.discard', setUp: failed, params: inTask },
  {
    title: 'tasks.firstReady',
    setUp: failed,
    params: ({ tenantId }) => ({ tenantId, limit: 10 }),
  },
  { title: 'tasks.explain', setUp: failed, params: inTask },
  {
    title: 'queue.claim',
    setUp: submitted,
    params: (names) => ({
      workerId: names.id,
      claimSlot: names.id,
      claimId: names.token,
      max: 2,
      begins: 1,
      runs: runsOf(names),
      leaseMs: 30_000,
    }),
  },
  {
    title: 'queue.renew',
    setUp: leased,
    params: (names) => ({ leases: [{ ...inLease(names), begun: true }], leaseMs: 30_000 }),
  },
  settling('completed', { kind: 'completed', result: payload, answer: { message_id: 'a', content: 'said' } }),
  settling('failed', { kind: 'failed', error: { ...error, retryable: false }, diagnostic }),
  settling('retry', { kind: 'retry', error, diagnostic, delayMs: 100, drop: 'ask' }),
  settling('parked', { kind: 'parked', journalRev: 0 }),
  { title: 'queue.wake', setUp: leased, params: inTask },
  beginning('a call', callStep),
  beginning('a wait', () => ({ key: 'go', kind: 'signal', name: 'signal go', signal: 'go', dueInMs: 100 })),
  recording('a result', succeeded),
  recording('a failure', failedOutcome),
  recording('a job', { kind: 'accepted', jobId: 'job' }),
  recordingRun('own work', succeeded),
  recordingRun('own work that failed', failedOutcome),
  { title: 'journal.read', setUp: called, params: (names) => ({ ...inLease(names), after: 0 }) },
  { title: 'journal.changesSince', setUp: called, params: (names) => ({ ...inLease(names), journalRev: 0 }) },
  reporting('a result', succeeded),
  reporting('a failure', failedOutcome),
  reporting('a status', { kind: 'status', status: 'on', details: { half: true } }),
  { title: 'journal.heldReport', params: ({ tenantId, id }) => ({ tenantId, heldId: id }) },
  {
    title: 'sessions.create',
    params: (names) => ({ ...inSession(names), agentId: 'agent', context: payload }),
  },
  { title: 'sessions.get', setUp: sessionCreated, params: inSession },
  {
    title: 'sessions.update',
    setUp: sessionCreated,
    params: (names) => ({ ...inSession(names), rev: 1, agentId: 'agent', context: payload }),
  },
  {
    title: 'sessions.append',
    setUp: sessionCreated,
    params: (names) => ({
      ...inSession(names),
      message: { message_id: 'm', role: 'user', content: 'hello' },
    }),
  },
  {
    title: 'sessions.messages',
    setUp: submitted,
    params: (names) => ({ ...inSession(names), limit: 10, before: 'm' }),
  },
  {
    title: 'sessions.list',
    setUp: sessionCreated,
    params: ({ tenantId, sessionId }) => ({ tenantId, status: 'active', limit: 10, after: sessionId }),
  },
  { title: 'sessions.close', setUp: submitted, params: (names) => ({ ...inSession(names), graceMs: 100 }) },
  { title: 'events.head', setUp: submitted, params: ({ tenantId }) => ({ tenantId }) },
  {
    title: 'events.read',
    setUp: submitted,
    params: ({ tenantId }) => ({ tenantId, after: 'new:0', limit: 10 }),
  },
  { title: 'tenants.get', setUp: submitted, params: ({ tenantId }) => ({ tenantId }) },
  {
    title: 'tenants.configure',
    setUp: submitted,
    params: ({ tenantId }) => ({
      tenantId,
      weight: 2,
      maxRunning: 3,
      paused: true,
      rates: { requestsPerMinute: 60, burst: 5 },
    }),
  },
  {
    title: 'rates.lease',
    params: ({ tenantId, id }) => ({
      tenantId,
      name: 'requests',
      leaseId: id,
      perMinute: 600,
      burst: 20,
      wanted: 4,
    }),
  },
  {
    title: 'usage.add',
    params: ({ tenantId, id }) => ({
      tenantId,
      id,
      model: 'm',
      operation: 'o',
      tokens: 12.5,
      savedTokens: 0.5,
    }),
  },
  {
    title: 'usage.sum',
    params: ({ tenantId }) => ({ tenantId, from: '2026-01-01', to: '2026-12-31' }),
  },
  {
    title: 'cache.claim',
    params: (names) => ({ ...inCache(names), ...cacheClaim(names) }),
  },
  {
    title: 'cache.renew',
    setUp: cacheClaimed,
    params: (names) => ({ ...inCache(names), leaseMs: 30_000 }),
  },
  {
    title: 'cache.put',
    setUp: cacheClaimed,
    params: (names) => ({ ...inCache(names), value: payload, tokens: 12.5, model: 'm', ttlMs: 60_000 }),
  },
  { title: 'cache.remove', setUp: cacheClaimed, params: inCache },
  {
    title: 'cache.invalidate',
    setUp: cacheClaimed,
    params: ({ tenantId, sessionId }) => ({ tenantId, collection: 'docs', kind: 'k', sessionId }),
  },
  {
    title: 'workers.announce',
    params: (names) => ({ workerId: names.id, runs: runsOf(names), leaseMs: 30_000 }),
  },
  { title: 'workers.announced', params: ({ type }) => ({ type }) },
];

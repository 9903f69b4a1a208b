import { MemoryStorage, type Storage } from '../src/index.js';
import { type CaseLimits } from '../src/conformance/index.js';
import { brokenBytes } from './broken-bytes.js';
import { brokenCompletions, forgetsEmptyLog } from './broken-completions.js';
import { brokenPortions } from './broken-portions.js';
import { BROKEN_PARTS } from './broken-parts.js';
import { brokenTenantRates } from './broken-rates.js';
import type { ManualClock } from './harness.js';
import {
  type Answer,
  answers,
  change,
  forgets,
  type Mistake,
  type Original,
  type Parameter,
  twice,
} from './mistakes.js';

/** A storage with one mistake. */
export interface BrokenStorage {
  /** `part.method` */
  readonly where: string;
  /** What is wrong with it. */
  readonly mistake: string;
  make(clock: ManualClock, limits?: CaseLimits): Storage;
}

type Part = Exclude<keyof Storage, 'ping' | 'close'>;
function broken(where: string, mistakes: Readonly<Record<string, Mistake>>): BrokenStorage[] {
  const [part, method] = where.split('.') as [Part, string];
  const all = { ...mistakes, ...brokenPortions[where], ...brokenBytes[where] };
  return Object.entries(all).map(([mistake, make]) => ({
    where,
    mistake,
    make(clock, limits = {}) {
      const storage = new MemoryStorage({ clock, limits });
      const target = storage[part] as unknown as Record<string, (...args: unknown[]) => unknown>;
      const original = target[method]?.bind(target) as unknown as Original;
      target[method] = (params) => make(params, original, storage);
      return storage;
    },
  }));
}

const task = (params: Parameter) => (params['submission'] as unknown as { task: Answer }).task;
const submission = (params: Parameter, taskFields: object, fields: object = {}) => ({
  ...params,
  submission: { ...(params['submission'] as object), task: { ...task(params), ...taskFields }, ...fields },
});

/** The methods that a storage is broken in, with nothing broken: no case may fail because of how it is done. */
export function unbroken(where: string): BrokenStorage {
  const [storage] = broken(where, { nothing: (params, original) => original(params) }) as [BrokenStorage];
  return storage;
}

const cursorOf = (answer: Promise<unknown>) => answer as Promise<string>;

export const brokenStorages: readonly BrokenStorage[] = [
  ...broken('tasks.submit', {
    'forgets the idempotency key': (params, original) => original({ ...params, idempotency: undefined }),
    'forgets the message': (params, original) => original(submission(params, {}, { message: undefined })),
    'forgets the metadata': (params, original) => original(submission(params, { metadata: {} })),
    'forgets the priority': (params, original) => original(submission(params, { priority: 4 })),
    'forgets run_at': (params, original) => original(submission(params, { runAt: undefined })),
    'forgets the session': (params, original) => original(submission(params, { session_id: undefined })),
    'lets everybody in': change({ maxWaiting: Number.POSITIVE_INFINITY }),
    'runs a session side by side': (params, original) =>
      original(submission(params, {}, { onBusy: 'parallel' })),
  }),
  ...broken('tasks.submitBatch', {
    'forgets max_in_flight': (params, original) =>
      original({ ...params, batch: { ...(params['batch'] as object), maxInFlight: 1_000 } }),
    'forgets fail_fast': (params, original) =>
      original({ ...params, batch: { ...(params['batch'] as object), failFast: false } }),
    'forgets the idempotency key': change({ idempotency: undefined }),
    'lets everybody in': change({ maxWaiting: Number.POSITIVE_INFINITY }),
    'turns the items round': (params, original) => {
      const batch = params['batch'] as unknown as { items: object[] };
      return original({ ...params, batch: { ...batch, items: batch.items.toReversed() } });
    },
    'drops the bad items': (params, original) => {
      const batch = params['batch'] as unknown as { items: object[] };
      return original({
        ...params,
        batch: { ...batch, items: batch.items.filter((item) => !('error' in item)) },
      });
    },
  }),
  ...broken('tasks.getBatch', {
    'finds nothing': forgets(undefined),
    'drops results': answers(
      (batch) =>
        batch && {
          ...batch,
          items: (batch['items'] as object[]).map((item) => ({ ...item, result: undefined })),
        },
    ),
    'gives back another batch': async (params, original, storage) => {
      void original;
      return {
        batch_id: params['batchId'],
        total: 0,
        created_at: '',
        counts: {},
        items: [],
        storage: storage !== undefined,
      };
    },
  }),
  ...broken('tasks.cancelBatch', {
    'does nothing': (params, _, storage) => storage.tasks.getBatch(params as never),
    'forgets that it did': async (params, original, storage) => {
      const before = await storage.tasks.getBatch(params as never);
      await original(params);
      return before;
    },
    'says that there is none': async (params, original) => {
      await original(params);
      return undefined;
    },
  }),
  ...broken('tasks.register', {
    'forgets the call': change({ call: undefined }),
    'queues the task': async (params, _, storage) => {
      const answer = await storage.tasks.submit({
        tenantId: params['tenantId'],
        submission: { task: params['task'], onBusy: 'parallel' },
        maxWaiting: 1_000,
      });
      return { ...answer, answer: 'registered' };
    },
    'never waits for silence': (params, original) =>
      original({
        ...params,
        ...(params['call'] && { call: { ...(params['call'] as object), silenceMs: 1e12 } }),
      }),
    'says that each was new': answers((answer) => ({ ...answer, answer: 'registered' })),
  }),
  ...broken('tasks.finish', {
    'loses falsy results': (params, original) => {
      const outcome = params['outcome'] as unknown as Answer;
      return original({
        ...params,
        outcome: outcome['result'] ? outcome : { ...outcome, ...('result' in outcome && { result: null }) },
      });
    },
    'says that it did, each time': answers((answer) => ({ ...answer, answer: 'finished' })),
    'does nothing': (params, _, storage) =>
      storage.tasks.get(params as never).then((found) => ({ answer: 'finished', task: found?.task })),
    'loses the error': (params, original) => {
      const outcome = params['outcome'] as unknown as Answer;
      return original({
        ...params,
        outcome:
          outcome['kind'] === 'failed'
            ? { ...outcome, error: { code: 'internal_error', message: '', retryable: false } }
            : outcome,
      });
    },
  }),
  ...broken('tasks.progress', {
    'tells twice': twice,
    'believes everybody': change({ token: undefined }),
    'emits no event': forgets({ answer: 'reported' }),
    'loses the message': (params, original) =>
      original({ ...params, progress: { percent: (params['progress'] as unknown as Answer)['percent'] } }),
  }),
  ...broken('tasks.get', {
    'finds nothing': forgets(undefined),
    'gives an old cursor': answers((found) => found && { ...found, cursor: found['startCursor'] }),
    'loses the calls': answers(
      (found) => found && { ...found, task: { ...(found['task'] as object), delegated_services: [] } },
    ),
    'begins at the end': answers((found) => found && { ...found, startCursor: found['cursor'] }),
  }),
  ...broken('tasks.list', {
    'never ends': async (params, original) =>
      original({ ...params, after: undefined }).then((page) => ({ ...page, next: undefined })),
    'forgets the filter': change({ filter: {} }),
    'begins with the oldest': answers((page) => ({
      ...page,
      tasks: [...(page['tasks'] as object[])].toReversed(),
    })),
    'forgets the limit': change({ limit: 1_000 }),
  }),
  ...broken('tasks.counts', {
    'counts nothing': answers((answer) => ({
      ...answer,
      counts: { pending: 0, processing: 0, completed: 0, failed: 0, cancelled: 0 },
    })),
    'loses what failed': answers((answer) => ({
      ...answer,
      counts: { ...(answer['counts'] as object), failed: 0 },
    })),
    'gives an old cursor': answers((answer) => ({ ...answer, cursor: 'x:0' })),
  }),
  ...broken('tasks.cancel', {
    'does nothing': async (params, _, storage) => ({
      answer: 'cancelled',
      task: (await storage.tasks.get(params as never))?.task,
    }),
    'waits for ever for a worker': change({ graceMs: 1e12 }),
    'gives a worker no time': change({ graceMs: -1 }),
    'forgets the reason': change({ reason: '' }),
  }),
  ...broken('tasks.signal', {
    'drops it': forgets({ answer: 'kept' }),
    'gives it twice': async (params, original) => {
      await original({ ...params, signalId: 'another' });
      return original(params);
    },
    'knows no ids': (params, original) => original({ ...params, signalId: crypto.randomUUID() }),
    'forgets the payload': change({ payload: null }),
    'keeps any number': async (params, original) => {
      const answer = await original(params);
      return answer['answer'] === 'too_many' ? { answer: 'kept' } : answer;
    },
  }),
  ...broken('tasks.redrive', {
    'takes any task': answers((answer) =>
      answer['answer'] === 'not_failed' ? { answer: 'redriven' } : answer,
    ),
    'does nothing': async (params, _, storage) => ({
      answer: 'redriven',
      task: (await storage.tasks.get(params as never))?.task,
    }),
    'begins anew': async (params, original, storage) => {
      const old = await storage.tasks.get(params as never);
      const answer = await original({ ...params, newTaskId: crypto.randomUUID() });
      if (!old || answer['answer'] !== 'redriven') return answer;
      const { type, payload } = old.task;
      const fresh = {
        task_id: params['newTaskId'],
        type,
        payload,
        priority: 4,
        metadata: {},
        timeoutMs: 60_000,
        maxAttempts: 5,
      };
      await storage.tasks.submit({
        tenantId: params['tenantId'],
        submission: { task: fresh, onBusy: 'parallel' },
        maxWaiting: 100,
      });
      return { answer: 'redriven', task: { ...old.task, task_id: params['newTaskId'] } };
    },
  }),
  ...broken('tasks.firstReady', {}),
  ...broken('tasks.explain', {
    'knows nothing': forgets(undefined),
    'loses the position': answers((answer) => answer && { ...answer, position: 0 }),
    'gives no reason': answers((answer) => answer && { ...answer, reason: '' }),
    'says since now': answers((answer) => answer && { ...answer, since: new Date().toISOString() }),
  }),
  ...broken('queue.claim', {
    'takes nothing': forgets([]),
    'forgets the claim id': (params, original) => original({ ...params, claimId: crypto.randomUUID() }),
    'takes more than max': change({ max: 1_000 }),
    'takes what the worker can not run': (params, original) => {
      const types = (params['runs'] as unknown as { type: string }[]).flatMap(({ type }) => [
        type,
        `${type}-other`,
      ]);
      return original({ ...params, runs: types.map((type) => ({ type, versions: [1, 2] })) });
    },
    'turns the order round': answers((claims) => [...(claims as unknown as object[])].toReversed()),
    'loses the journal': answers((claims) =>
      (claims as unknown as object[]).map((claim) => ({ ...claim, steps: [] })),
    ),
  }),
  ...broken('queue.renew', {
    'renews nothing': forgets([]),
    'loses nothing': async (params, original) => {
      await original(params);
      return [];
    },
    'loses everything': async (params, original) => {
      await original(params);
      return params['leases'];
    },
  }),
  ...broken('queue.wake', {
    'does nothing': forgets('woken'),
    'never does it': forgets('not_parked'),
    'says it each time': async (params, original) => {
      await original(params);
      return 'woken';
    },
  }),
  ...broken('queue.settle', {
    'does nothing': forgets('settled'),
    'parks whatever is new': (params, original) => {
      const settlement = params['settlement'] as unknown as Answer;
      return original({
        ...params,
        settlement: settlement['kind'] === 'parked' ? { ...settlement, journalRev: 1e9 } : settlement,
      });
    },
    'forgets the delay of a retry': (params, original) =>
      original({ ...params, settlement: { ...(params['settlement'] as object), delayMs: 0 } }),
    'keeps the failure that ended the attempt': (params, original) =>
      original({ ...params, settlement: { ...(params['settlement'] as object), drop: undefined } }),
    'forgets the answer': (params, original) =>
      original({ ...params, settlement: { ...(params['settlement'] as object), answer: undefined } }),
    'says that it did, each time': async (params, original) => {
      await original(params);
      return 'settled';
    },
  }),
  ...broken('queue.sweep', {
    'does nothing': forgets({ done: {} }),
    'does everything at once': change({ max: 10_000 }),
    'does one thing and says that it is over': async (_, original) => {
      await original({ max: 1 });
      return { done: {} };
    },
  }),
  ...broken('journal.read', {}),
  ...broken('journal.begin', {
    'forgets the limit': change({ maxSteps: 1e9 }),
    'begins each time': answers((answer) =>
      answer['answer'] === 'known' ? { ...answer, answer: 'begun' } : answer,
    ),
    'believes any token': async (params, original) => {
      const answer = await original(params);
      return answer['answer'] === 'lease_lost'
        ? { answer: 'begun', step: {}, journalRev: 0, changes: [] }
        : answer;
    },
    'stores nothing': async (params) => ({
      answer: 'begun',
      step: { ...(params['step'] as object), changed: 0, tries: 1, backingOff: false },
      journalRev: 0,
      changes: [],
    }),
  }),
  ...broken('journal.record', {
    'records nothing': async (params) => ({
      answer: 'recorded',
      journalRev: params['journalRev'],
      changes: [],
    }),
    'forgets what was consumed': (params, original) =>
      original({ ...params, answer: { ...(params['answer'] as object), usage: undefined } }),
    'tells nothing of what went before': answers((answer) =>
      answer['changes'] ? { ...answer, changes: (answer['changes'] as object[]).slice(-1) } : answer,
    ),
    'says that it was new, each time': answers((answer) =>
      answer['answer'] === 'known' ? { ...answer, answer: 'recorded' } : answer,
    ),
  }),
  ...broken('journal.changesSince', {
    'never has any': answers((answer) => ({ ...answer, changes: [] })),
    'tells everything each time': change({ journalRev: -1 }),
    'forgets that the task is to be cancelled': answers(({ cancelReason: _, ...answer }) => answer),
    'believes any token': async (params, original) => {
      const answer = await original(params);
      return answer['answer'] === 'lease_lost' ? { answer: 'changes', journalRev: 0, changes: [] } : answer;
    },
  }),
  ...broken('journal.report', {
    'drops it': forgets({ answer: 'unknown_task' }),
    'loses falsy outcomes': (params, original) => {
      const body = params['body'] as unknown as { outcome?: { ok: boolean; value?: unknown } };
      if (!body.outcome?.ok || body.outcome.value) return original(params);
      return original({ ...params, body: { ...body, outcome: { ok: true, value: null } } });
    },
    'applies whatever comes': answers((answer) =>
      answer['answer'] === 'duplicate' ? { ...answer, answer: 'applied' } : answer,
    ),
    'forgets message ids': change({ messageId: undefined }),
    'forgets numbers': change({ seq: undefined }),
    'never gives another try': (params, original) => {
      const body = params['body'] as unknown as { outcome?: { ok: boolean; error?: object } };
      if (!body.outcome?.error) return original(params);
      return original({
        ...params,
        body: { ...body, outcome: { ok: false, error: { ...body.outcome.error, retryable: false } } },
      });
    },
    'takes stale ones for late ones': answers((answer) =>
      answer['answer'] === 'stale' ? { ...answer, answer: 'late' } : answer,
    ),
  }),
  ...broken('journal.heldReport', {
    'never knows': async (params) => ({ answer: 'held', heldId: params['heldId'] }),
    'never heard of it': forgets({ answer: 'unknown_task' }),
    'says that it was a repetition': answers((answer) =>
      answer['answer'] === 'applied' ? { ...answer, answer: 'duplicate' } : answer,
    ),
  }),
  ...broken('sessions.create', {
    'creates it each time': answers((answer) => ({ ...answer, answer: 'created' })),
    'forgets the context': change({ context: {} }),
    'forgets the agent': change({ agentId: undefined }),
  }),
  ...broken('sessions.get', {
    'finds nothing': forgets(undefined),
    'forgets the tasks': answers((state) => state && { ...state, tasks: [] }),
    'gives an old cursor': answers((state) => state && { ...state, cursor: 'x:0' }),
  }),
  ...broken('sessions.update', {
    'does not compare': change({ rev: undefined }),
    'changes nothing': async (params, _, storage) => ({
      answer: 'updated',
      session: (await storage.sessions.get(params as never))?.session,
    }),
    'changes it twice': async (params, original) => {
      await original({ ...params, rev: undefined });
      return original({ ...params, rev: undefined });
    },
    'opens closed sessions': answers((answer) =>
      answer['answer'] === 'session_closed' ? { answer: 'updated' } : answer,
    ),
  }),
  ...broken('sessions.append', {
    'adds nothing': async (params) => ({ answer: 'appended', message: params['message'] }),
    'adds it each time': (params, original) =>
      original({ ...params, message: { ...(params['message'] as object), message_id: crypto.randomUUID() } }),
    'opens closed sessions': answers((answer) =>
      answer['answer'] === 'session_closed' ? { answer: 'appended' } : answer,
    ),
  }),
  ...broken('sessions.messages', {
    'finds nothing': forgets([]),
    'forgets the page': change({ before: undefined }),
    'begins with the newest': answers(
      (messages) => messages && [...(messages as unknown as object[])].toReversed(),
    ),
    'forgets the limit': change({ limit: 1_000 }),
  }),
  ...broken('sessions.list', {
    'forgets the status': change({ status: undefined }),
    'forgets the page': change({ after: undefined }),
    'begins with the oldest': answers((page) => ({
      ...page,
      sessions: [...(page['sessions'] as object[])].toReversed(),
    })),
  }),
  ...broken('sessions.close', {
    'does nothing': async (params, _, storage) => ({
      answer: 'closed',
      session: (await storage.sessions.get(params as never))?.session,
    }),
    'says that it did, each time': answers((answer) => ({ ...answer, answer: 'closed' })),
    'waits for ever for a worker': change({ graceMs: 1e12 }),
  }),
  ...broken('events.head', {
    'is always the beginning': async (params, original) =>
      `${(await cursorOf(original(params))).split(':')[0]}:0`,
    'is one ahead': async (params, original) => {
      const [epoch, seq] = (await cursorOf(original(params))).split(':');
      return `${epoch}:${Number(seq) + 1}`;
    },
    'is one log for all': (_, original) => original({ tenantId: 'all' }),
  }),
  ...broken('events.read', {
    'finds nothing': async (params) => ({ events: [], cursor: params['after'] }),
    'skips one': answers((page) => ({ ...page, events: (page['events'] as object[]).slice(1) })),
    'swallows gaps': answers(({ gap: _, ...page }) => page),
    'forgets the limit': change({ limit: 10_000 }),
  }),
  ...broken('events.follow', {
    'gives only what is there': async function* onlyWhatIsThere(params, _, storage) {
      yield* (
        await storage.events.read({ ...(params as unknown as { tenantId: string; after: string }), limit: 2 })
      ).events;
    } as Mistake,
    'gives each twice': async function* eachTwice(params, original) {
      for await (const event of original(params) as unknown as AsyncIterable<unknown>) {
        yield event;
        yield event;
      }
    } as Mistake,
    'swallows gaps': async function* swallowing(params, original) {
      for await (const event of original(params) as unknown as AsyncIterable<Answer>)
        if (event['event'] !== 'gap') yield event;
    } as Mistake,
    'forgets an empty log with its last follower': forgetsEmptyLog,
  }),
  ...broken('events.followCompletions', brokenCompletions),
  ...broken('tenants.get', {
    'knows no settings': answers((stats) => ({ ...stats, settings: { weight: 1, paused: false } })),
    'does not know what runs': answers((stats) => ({ ...stats, running: 0 })),
    'takes all that waits for ready': answers((stats) => ({
      ...stats,
      ready: (stats['counts'] as { pending: number }).pending,
    })),
    'does not know the oldest': answers(({ oldestReadyAt: _, ...stats }) => stats),
    'registers a tenant at a read': async (params, original, storage) => {
      await storage.tenants.configure(params as never);
      return original(params);
    },
  }),
  ...broken('tenants.configure', {
    ...brokenTenantRates,
    'changes nothing': (params, _, storage) => storage.tenants.get(params as never),
    'never pauses': change({ paused: false }),
    'never resumes': (params, original) =>
      original({ ...params, paused: params['paused'] === false ? undefined : params['paused'] }),
    'knows no limit': change({ maxRunning: null }),
    'never lifts the limit': (params, original) =>
      original({ ...params, maxRunning: params['maxRunning'] ?? undefined }),
    'weighs all the same': change({ weight: 1 }),
    'forgets what was set before': (params, original) =>
      original({ weight: 1, maxRunning: null, paused: false, ...params }),
    'is for everybody': async (params, original, storage) => {
      for (const { tenantId } of (await storage.tenants.list({ limit: 1_000 })).tenants)
        await original({ ...params, tenantId });
      return original(params);
    },
  }),
  ...broken('tenants.list', {
    'is empty': forgets({ tenants: [] }),
    'forgets the page': change({ after: undefined }),
    'has one page': answers(({ next: _, ...page }) => page),
    'forgets the limit': change({ limit: 1_000 }),
    'begins with the last': answers((page) => ({
      ...page,
      tenants: [...(page['tenants'] as object[])].toReversed(),
    })),
    'never heard of who is only configured': answers((page) => ({
      ...page,
      tenants: (page['tenants'] as { counts: object }[]).filter(({ counts }) =>
        Object.values(counts).some((count) => count > 0),
      ),
    })),
  }),
  ...broken('usage.add', {
    'adds nothing': forgets(undefined),
    'adds it each time': (params, original) => original({ ...params, id: crypto.randomUUID() }),
    'forgets what was saved': change({ savedTokens: 0 }),
  }),
  ...broken('usage.sum', {
    'finds nothing': forgets([]),
    'forgets the days': change({ from: '0000-01-01', to: '9999-01-01' }),
    'loses a row': answers((rows) => (rows as unknown as object[]).slice(1)),
  }),
  ...broken('workers.announce', {
    'forgets it': forgets(undefined),
    'forgets the versions': (params, original) =>
      original({
        ...params,
        runs: (params['runs'] as unknown as object[]).map((run) => ({ ...run, versions: [1] })),
      }),
    'takes each word for another worker': (params, original) =>
      original({ ...params, workerId: crypto.randomUUID() }),
  }),
  ...broken('workers.leave', {
    'does nothing': forgets(undefined),
    'lets everybody leave': async (_, original, storage) => {
      for (const { workerId } of await storage.workers.list()) await original({ workerId });
      storage.workers.announced = async () => undefined;
    },
    'forgets what was run': async (params, original, storage) => {
      await original(params);
      storage.workers.announced = async () => ({ agoMs: 1 });
    },
  }),
  ...broken('workers.announced', {
    'never heard of it': forgets(undefined),
    'always just now': forgets({ agoMs: 0 }),
    'forgets the defaults of the type': async (params, original) => {
      const found = await original(params);
      return found && { agoMs: found['agoMs'] };
    },
    'counts in seconds': async (params, original) => {
      const found = (await original(params)) as { agoMs: number } | undefined;
      return found && { ...found, agoMs: found.agoMs / 1_000 };
    },
  }),
  ...broken('workers.list', {
    'is empty': forgets([]),
    'has only the first': answers((workers) => (workers as unknown as object[]).slice(0, 1)),
    'forgets what they run': answers((workers) =>
      (workers as unknown as object[]).map((worker) => ({ ...worker, runs: [] })),
    ),
  }),
  ...broken('wakeups.subscribe', {
    'never publishes': (() => () => {}) as Mistake,
    'never hangs up': ((listener: unknown, original: (listener: unknown) => void) => {
      original(listener);
      return () => {};
    }) as never,
    'publishes only when something is ready': ((
      listener: (wakeup: Answer) => void,
      original: (listener: unknown) => unknown,
    ) => original((wakeup: Answer) => wakeup['wakeup'] === 'ready' && listener(wakeup))) as never,
  }),
  ...BROKEN_PARTS.flatMap((broken) => Object.entries(broken)).flatMap(([where, mistakes]) =>
    broken(where, mistakes),
  ),
];

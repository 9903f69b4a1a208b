import type { Storage, Task } from '../src/index.js';
import { DEFAULTS } from '../src/protocol/index.js';
import { type Wakeup } from '../src/storage/index.js';
import type { Answer, Mistake } from './mistakes.js';

/** How many reports a storage has held. */
const heldBy = new WeakMap<Storage, number>();
/** Calls that a storage has shown of a task that runs. */
const shownBy = new WeakMap<Storage, Calls>();

/** The last large batch that a storage has shown. */
const batchOf = new WeakMap<Storage, Answer>();

type Pages = 'tasks' | 'sessions';

const afterOneStep: Mistake = (params, original) => original({ ...params, signal: AbortSignal.abort() });

function untilSomethingFits(items: Pages): Mistake {
  return async (params, original) => {
    let page = await original(params);
    while (page?.['next'] !== undefined && (page[items] as unknown[]).length === 0)
      page = await original({ ...params, after: page['next'] });
    return page;
  };
}

function withoutNextIfShort(items: Pages): Mistake {
  return async (params, original) => {
    const page = await original(params);
    return page && (page[items] as unknown[]).length < params.limit ? { ...page, next: undefined } : page;
  };
}

/** Pages of a log that a storage has given. */
const pagesOf = new WeakMap<Storage, Map<string, Answer>>();
const FINAL = new Set(['completed', 'failed', 'cancelled']);
type Calls = readonly { readonly status: string }[];

/** What may be wrong with a storage's work in portions and pages, by method. */
export const brokenPortions: Readonly<Record<string, Readonly<Record<string, Mistake>>>> = {
  'sessions.close': {
    'resolves after one step': afterOneStep,
    'does all at once, whatever the signal says': (params, original) =>
      original({ ...params, signal: undefined }),
    'goes on with nothing that another one has left': async (params, original, storage) => {
      const before = await storage.sessions.get(params as never);
      if (before?.session.status !== 'closed') return original(params);
      return { answer: 'already_closed', session: before.session };
    },
  },
  'tasks.submitBatch': {
    'stores the first portion only': (params, original) => {
      const items = params.batch.items.slice(0, 50);
      return original({ ...params, batch: { ...params.batch, items } });
    },
    'looks for room for the first portion only': (params, original) =>
      original({ ...params, maxWaiting: params.maxWaiting + Math.max(0, params.batch.items.length - 50) }),
    'creates the last portion first': (params, original) => {
      const { items } = params.batch;
      const turned = [...items.slice(50), ...items.slice(0, 50)];
      return original({ ...params, batch: { ...params.batch, items: turned } });
    },
    'lets tasks of one session run side by side': (params, original) => {
      const items = params.batch.items.map((item: object) => ({ ...item, onBusy: 'parallel' }));
      return original({ ...params, batch: { ...params.batch, items } });
    },
  },
  'tasks.cancelBatch': { 'resolves after one step': afterOneStep },
  'queue.sweep': {
    'takes one step, whatever max is': (params, original) => original({ max: Math.min(100, params.max) }),
  },
  'tasks.get': {
    'shows calls of a task that has ended as open ones': async (params, original) => {
      const found = await original(params);
      const task = found?.['task'] as
        | { readonly status: string; readonly delegated_services: Calls }
        | undefined;
      if (!task || !FINAL.has(task.status)) return found;
      const open = task.delegated_services.map((call) => ({ ...call, status: 'processing' }));
      return { ...found, task: { ...task, delegated_services: open } };
    },
    'shows what a retry has dropped until the next attempt begins': async (params, original, storage) => {
      const found = await original(params);
      const task = found?.['task'] as
        | { readonly status: string; readonly delegated_services: Calls }
        | undefined;
      const shown = shownBy.get(storage) ?? [];
      if (!task) return found;
      shownBy.set(storage, task.status === 'pending' ? shown : task.delegated_services);
      const isRetried = task.status === 'pending' && shown.length > task.delegated_services.length;
      return isRetried ? { ...found, task: { ...task, delegated_services: shown } } : found;
    },
  },
  'tasks.redrive': {
    'makes a task for each one who asks': async (params, original, storage) => {
      const answer = await original(params);
      const made = answer['task'] as { readonly task_id: string } | undefined;
      if (made === undefined || made.task_id === params.newTaskId) return answer;
      const task = { task_id: params.newTaskId, type: 'work', priority: 4, payload: {}, metadata: {} };
      const submission = { task: { ...task, timeoutMs: 1_000, maxAttempts: 5 }, onBusy: 'enqueue' } as const;
      return storage.tasks.submit({ tenantId: params.tenantId, submission, maxWaiting: 10 });
    },
    'takes over nothing': async (params, original, storage) => {
      const answer = await original(params);
      if (answer['answer'] !== 'redriven') return answer;
      const { task_id: taskId, ...task } = answer['task'] as Task;
      await storage.tasks.cancel({ tenantId: params.tenantId, taskId, reason: 'anew', graceMs: 0 });
      const anew = { ...task, task_id: `${taskId}-new`, timeoutMs: 60_000, maxAttempts: 5 };
      const submission = { task: anew, onBusy: 'enqueue' } as const;
      return storage.tasks.submit({ tenantId: params.tenantId, submission, maxWaiting: 10 });
    },
    'takes on what there is no room for': (params, original) => original({ ...params, maxWaiting: 1_000 }),
  },
  'events.read': {
    'has what is too old until there is something new': async (params, original, storage) => {
      const pages = pagesOf.get(storage) ?? new Map<string, Answer>();
      pagesOf.set(storage, pages);
      const place = [params.tenantId, params.after, params.limit, await storage.events.head(params)].join();
      const page = pages.get(place) ?? (await original(params));
      pages.set(place, page);
      return page;
    },
  },
  'wakeups.subscribe': {
    'tells services of the first calls of a task only': ((
      listener: (wakeup: Wakeup) => void,
      original: (listener: (wakeup: Wakeup) => void) => unknown,
    ) => {
      let received = 0;
      return original((wakeup) => {
        if (wakeup.kind === 'call_cancelled') received += 1;
        if (wakeup.kind !== 'call_cancelled' || received <= 3) listener(wakeup);
      });
    }) as never,
  },
  'queue.settle': {
    'drops no failures where many are to be dropped': async (params, original) => {
      const { kind, drop } = params.settlement;
      return kind === 'retry' && drop !== undefined
        ? original({ ...params, settlement: { kind: 'released' } })
        : original(params);
    },
  },
  'tasks.list': {
    'looks on until something fits': untilSomethingFits('tasks'),
    'forgets where a short page goes on': withoutNextIfShort('tasks'),
  },
  'tasks.firstReady': {
    'gives one more': (params, original) => original({ ...params, limit: params.limit + 1 }),
    'turns them round': async (params, original) =>
      ((await original(params)) as unknown as unknown[]).toReversed(),
    'finds nothing': async () => [],
  },
  'journal.report': {
    'takes the last call of a task that has ended for its only open one': async (
      params,
      original,
      storage,
    ) => {
      const answer = await original(params);
      if (params.taskId === undefined || answer['answer'] !== 'unknown_task') return answer;
      const { tenantId, taskId } = params;
      return (await storage.tasks.get({ tenantId, taskId })) ? { answer: 'late', taskId } : answer;
    },
    'takes calls that a retry has dropped for ended ones': async (params, original) => {
      const answer = await original(params);
      return answer['answer'] === 'stale' ? { ...answer, answer: 'late' } : answer;
    },
    'holds any number of a job': async (params, original) => {
      const answer = await original(params);
      return answer['answer'] === 'retry_later' ? { answer: 'held', heldId: params.jobId } : answer;
    },
    'takes the limit of a job for that of all': async (params, original, storage) => {
      const held = heldBy.get(storage) ?? 0;
      if (held >= DEFAULTS.maxHeldFramesOfJob) return { answer: 'retry_later' };
      const answer = await original(params);
      heldBy.set(storage, held + (answer['answer'] === 'held' ? 1 : 0));
      return answer;
    },
    'holds nothing that alone is larger than the limit': async (params, original) =>
      JSON.stringify(params).length > 10_000 ? { answer: 'retry_later' } : original(params),
  },
  'journal.read': {
    'gives the first page only': async (params, original) => ({
      ...(await original(params)),
      next: undefined,
    }),
    'forgets what is open': async (params, original) => {
      const page = await original(params);
      const steps = page['steps'] as readonly { readonly changed: number }[] | undefined;
      return steps ? { ...page, steps: steps.filter(({ changed }) => changed > 0) } : page;
    },
    'forgets what a run begins with': async (params, original) => ({
      ...(await original(params)),
      origin: { seed: 'seed', inherited: 0 },
    }),
    'believes any token': async (params, original) => {
      const page = await original(params);
      return page['answer'] === 'page' ? page : { answer: 'page', steps: [], journalRev: 0 };
    },
  },
  'journal.changesSince': {
    'never says that there is more': async (params, original) => ({
      ...(await original(params)),
      more: undefined,
    }),
  },
  'queue.claim': {
    'brings as much as it is asked for, however large': async (params, original) => {
      const all: unknown[] = [];
      for (let n = 0; all.length < params.max; n += 1) {
        const more = { claimId: `${params.claimId}${n === 0 ? '' : n}`, max: params.max - all.length };
        const claims = (await original({ ...params, ...more })) as unknown as unknown[];
        if (claims.length === 0) break;
        all.push(...claims);
      }
      return all;
    },
    'loses what is large behind the first one': async (params, original) => {
      const claims = (await original(params)) as unknown as {
        readonly task: { readonly payload: unknown };
      }[];
      return claims.filter(
        ({ task: { payload } }, at) => at === 0 || typeof payload !== 'string' || payload.length < 100_000,
      );
    },
    'forgets that a journal is to be read': async (params, original) =>
      ((await original(params)) as unknown as object[]).map((claim) => ({ ...claim, unread: undefined })),
  },
  'sessions.list': {
    'looks on until something fits': untilSomethingFits('sessions'),
    'forgets where a short page goes on': withoutNextIfShort('sessions'),
  },
  'sessions.get': {
    'never says that there are more tasks': async (params, original) => {
      const state = await original(params);
      return state && { ...state, more: undefined };
    },
  },
  'tasks.getBatch': {
    'has results unasked': (params, original) => original({ ...params, results: true }),
    'forgets where its page goes on': async (params, original) => {
      const batch = await original(params);
      return batch && { ...batch, next: undefined };
    },
    'forgets a batch of which so many items have no task': async (params, original) => {
      const batch = await original(params);
      const first = (batch?.['items'] ?? []) as { readonly task_id?: string }[];
      return first.length > 500 && first.slice(0, 500).every(({ task_id }) => task_id === undefined)
        ? undefined
        : batch;
    },
    'shows a large batch of which nothing is kept': async (params, original, storage) => {
      const batch = await original(params);
      if (((batch?.['items'] ?? []) as unknown[]).length > 500) batchOf.set(storage, batch);
      return batch ?? batchOf.get(storage);
    },
  },
};

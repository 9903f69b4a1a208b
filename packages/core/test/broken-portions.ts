import type { Mistake } from './broken-storages.js';

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
    'takes one step, whatever it is told': (params, original) => original({ max: Math.min(100, params.max) }),
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
    'believes any token': async (params, original) => {
      const page = await original(params);
      return page['answer'] === 'page' ? page : { answer: 'page', steps: [], seen: 0 };
    },
  },
  'journal.news': {
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
  },
};

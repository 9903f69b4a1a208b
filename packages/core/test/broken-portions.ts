import type { Mistake } from './broken-storages.js';

const afterOneStep: Mistake = (params, original) => original({ ...params, signal: AbortSignal.abort() });

/** What may be wrong with a storage's work in portions, by method. */
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
  'tasks.cancelBatch': { 'resolves after one step': afterOneStep },
  'queue.sweep': {
    'takes one step, whatever it is told': (params, original) => original({ max: Math.min(100, params.max) }),
  },
};

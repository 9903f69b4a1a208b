import { type Answer, answers, change, forgets, type Mistake, type Parameter } from './mistakes.js';

const LONG = 1_000_000_000;
const without = (params: Parameter, ...names: string[]) => {
  const kept = Object.entries(params as object).filter(([name]) => !names.includes(name));
  return Object.fromEntries(kept);
};

/** Mistakes with cached values, by method. */
export const brokenCache: Readonly<Record<string, Readonly<Record<string, Mistake>>>> = {
  'cache.claim': {
    'gives the lease to everyone': async (params, original) => {
      const answer = await original(params);
      return answer['answer'] === 'computing' ? { answer: 'claimed' } : answer;
    },
    'finds nothing': async (params, original) => {
      const answer = await original(params);
      return answer['answer'] === 'hit' ? { answer: 'claimed' } : answer;
    },
    'never ends a lease': change({ leaseMs: LONG }),
    'shares values between tenants': change({ tenantId: 'all' }),
    'forgets the collection': (params, original) => original(without(params, 'collection')),
    'forgets the session': (params, original) => original(without(params, 'sessionId')),
    'forgets the kind': change({ kind: 'any' }),
    'forgets the model': answers((answer) => without(answer as Parameter, 'model')),
    'counts no time of the lease': answers((answer) => ({
      ...answer,
      ...('remainingMs' in answer && { remainingMs: 10_000 }),
    })),
    'takes a repeat for another': (params, original) => original({ ...params, token: crypto.randomUUID() }),
    'keeps one entry for all digests': change({ digest: 'one' }),
  },
  'cache.renew': {
    'does nothing': forgets(true),
    'prolongs the lease of another': async (params, original, storage) => {
      const claim = { ...(params as object), kind: 'k', token: 'other' };
      const found = (await storage.cache.claim(claim as never)) as unknown as Answer;
      return original({ ...params, token: found['token'] ?? params['token'] });
    },
    'always says that it did': async (params, original) => {
      await original(params);
      return true;
    },
    'never says that it did': async (params, original) => {
      await original(params);
      return false;
    },
  },
  'cache.put': {
    'stores nothing': forgets('stored'),
    'never lets a value expire': change({ ttlMs: LONG }),
    'forgets the cost': change({ tokens: 0 }),
    'forgets the model': (params, original) => original(without(params, 'model')),
    'loses falsy values': (params, original) => original({ ...params, value: params['value'] || null }),
    'takes values of any computation': async (params, original, storage) => {
      const { tenantId, digest } = params as unknown as Record<'tenantId' | 'digest', string>;
      const about = { tenantId, digest, token: 'any', leaseMs: 1_000, kind: 'answer' };
      const found = (await storage.cache.claim(about)) as unknown as Answer;
      return original({ ...params, token: found['token'] ?? 'any' });
    },
    'says that a large value fits': async (params, original) => {
      const answer = (await original(params)) as unknown;
      return answer === 'no_room' ? 'stored' : answer;
    },
  },
  'journal.record': {
    'forgets what the cache has saved': (params, original) => {
      const answer = params['answer'] as unknown as Answer;
      const before = answer['usage'] as object | undefined;
      const usage = before && { ...before, saved_tokens: 0 };
      return original({ ...params, answer: { ...answer, ...(usage && { usage }) } });
    },
  },
  'cache.remove': {
    'does nothing': forgets(undefined),
    'removes the entry of another': async (params, _, storage) => {
      await storage.cache.invalidate({ tenantId: params['tenantId'] });
    },
    'keeps stored values': async (params, original, storage) => {
      const { tenantId, digest } = params as unknown as Record<'tenantId' | 'digest', string>;
      const about = { tenantId, digest, token: 'any', leaseMs: 1, kind: 'answer' };
      const found = await storage.cache.claim(about);
      return found.answer === 'hit' ? undefined : original(params);
    },
  },
  'cache.invalidate': {
    'removes nothing': forgets(0),
    'removes everything': (params, original) => original({ tenantId: params['tenantId'] }),
    'forgets to count': async (params, original) => {
      await original(params);
      return 0;
    },
    'looks at one of several fields': (params, original) =>
      original(without(params, ...(params['collection'] ? ['kind', 'sessionId'] : []))),
    'removes those of another tenant': async (params, original, storage) => {
      const other = String(params['tenantId']).replace('t-', 'o-');
      await storage.cache.invalidate({ ...(params as object), tenantId: other });
      return original(params);
    },
  },
};

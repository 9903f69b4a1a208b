import type { Storage } from '../src/index.js';
import type { EngineGate } from '../src/engine/engine-gate.js';
import type { Mistake } from './mistakes.js';

/** What it has inside. */
const stateOf = (storage: Storage) => (storage as unknown as { readonly gate: EngineGate }).gate.engine.state;

const without =
  (limit: 'maxStoredBytes' | 'maxEventBytes'): Mistake =>
  async (params, original, storage) => {
    const limits = stateOf(storage).limits as Record<typeof limit, number>;
    const before = limits[limit];
    limits[limit] = Number.POSITIVE_INFINITY;
    try {
      return await original(params);
    } finally {
      limits[limit] = before;
    }
  };

/** What the method stores or removes is not counted. */
const uncounted: Mistake = async (params, original, storage) => {
  const { tenants } = stateOf(storage);
  const all = () => [...tenants.after(undefined)];
  const before = new Map(all().map(({ tenantId, storedBytes }) => [tenantId, storedBytes]));
  const answer = await original(params);
  for (const tenant of all()) tenant.storedBytes = before.get(tenant.tenantId) ?? 0;
  return answer;
};

const refusesNothing = { 'takes on what there is no room for': without('maxStoredBytes') };
const anyNumber = {
  'lets everybody in': ((params, original) =>
    original({ ...params, maxWaiting: Number.POSITIVE_INFINITY })) satisfies Mistake,
};

/** What may be wrong with how a storage bounds the bytes of a tenant, by method. */
export const brokenBytes: Readonly<Record<string, Readonly<Record<string, Mistake>>>> = {
  'tasks.submit': { ...refusesNothing, 'counts no payload': uncounted },
  'tasks.submitBatch': refusesNothing,
  'tasks.register': { ...refusesNothing, ...anyNumber },
  'tasks.redrive': { ...refusesNothing, ...anyNumber, 'counts no journal that is taken over': uncounted },
  'tasks.signal': { ...refusesNothing, 'counts no signal': uncounted },
  'tasks.progress': { 'keeps all of the log': without('maxEventBytes') },
  'queue.settle': { 'counts no result': uncounted },
  'queue.sweep': { 'gives no room back': uncounted },
  'journal.record': { 'counts no outcome': uncounted },
  'sessions.create': { ...refusesNothing, 'counts no context': uncounted },
  'sessions.update': refusesNothing,
  'sessions.append': { ...refusesNothing, 'counts no message': uncounted },
};

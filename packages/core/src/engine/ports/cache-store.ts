import type { CacheStore } from '../../storage/cache-store.js';
import type { Invalidated, PutPortion } from '../cache/caches.js';
import type { CommandGate } from '../engine-gate.js';
import { inPortions } from './portions.js';

/** Far more than the portions of a full cache: others may fill it again meanwhile. */
const MAX_EVICTIONS = 1_000;

export function cacheStore(gate: CommandGate): CacheStore {
  return {
    // What is there, or is being computed, costs no command.
    async claim(params) {
      const { tenantId, digest, token } = params;
      const found = await gate.read('cache.get', { tenantId, digest, token });
      return found ?? gate.execute('cache.claim', params);
    },
    renew: async (params) => gate.execute('cache.renew', params),
    async put(params) {
      let answer: PutPortion = 'evicting';
      let left = MAX_EVICTIONS;
      await inPortions(async () => {
        answer = await gate.execute('cache.put', params);
        left -= 1;
        return answer === 'evicting' && left > 0;
      });
      if (answer !== 'evicting') return answer;
      await gate.execute('cache.remove', params);
      return 'no_room';
    },
    remove: async (params) => gate.execute('cache.remove', params),
    async invalidate(params) {
      let removed = 0;
      let next: Invalidated['next'];
      await inPortions(async () => {
        const portion = await gate.execute('cache.invalidate', { ...params, ...next });
        removed += portion.removed;
        next = portion.next;
        return next !== undefined;
      });
      return removed;
    },
  };
}

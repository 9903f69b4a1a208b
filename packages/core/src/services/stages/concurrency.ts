import PQueue from 'p-queue';
import type { CallStage } from '../call-stage.js';

/**
 * At most `concurrency` calls of one tenant to one service are under way in this process; the tenant's others queue up.
 * Slots are not shared between tenants: slow calls of one would keep the others out.
 */
export function limitConcurrency(): CallStage {
  const queues = new Map<string, PQueue>();
  return async (call, next) => {
    const pair = `${call.call.tenant_id} ${call.service.name}`;
    let queue = queues.get(pair);
    if (!queue) {
      queue = new PQueue({ concurrency: call.service.concurrency });
      queues.set(pair, queue);
    }
    try {
      return await queue.add(() => next(call), { signal: call.signal });
    } finally {
      if (queue.size === 0 && queue.pending === 0 && queues.get(pair) === queue) queues.delete(pair);
    }
  };
}

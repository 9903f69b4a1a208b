import PQueue from 'p-queue';
import type { CallStage } from '../call-stage.js';

/**
 * Limits concurrent calls of a tenant to a service in this process to `concurrency`; further ones queue. Slots are per tenant:
 * otherwise slow calls of one tenant would block others.
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

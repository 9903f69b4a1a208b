import PQueue from 'p-queue';
import type { CallStage } from '../call-stage.js';

/** At most `concurrency` calls of one service are under way in this process; the others wait in line. */
export function limitConcurrency(): CallStage {
  const queues = new Map<string, PQueue>();
  return async (call, next) => {
    let queue = queues.get(call.service.name);
    if (!queue) {
      queue = new PQueue({ concurrency: call.service.concurrency });
      queues.set(call.service.name, queue);
    }
    return queue.add(() => next(call), { signal: call.signal });
  };
}

import { isFinalEvent } from '../src/index.js';
import type { Mistake } from './mistakes.js';

type Ends = AsyncIterable<{ readonly [key: string]: unknown }>;

/** Once the last follower of a log without events has left, its position is answered with a gap. */
export const forgetsEmptyLog: Mistake = async function* forgetting(params, original, storage) {
  try {
    yield* original(params) as unknown as Ends;
  } finally {
    const head = await storage.events.head(params);
    const read = storage.events.read.bind(storage.events);
    if (head.endsWith(':0'))
      storage.events.read = async (page) => ({
        ...(await read(page)),
        ...(page.after === head && { gap: { event: 'gap' as const, from: head, to: head } }),
      });
  }
};

/** What may be wrong with `events.followCompletions`. */
export const brokenCompletions: Readonly<Record<string, Mistake>> = {
  'gives only what is there': async function* onlyWhatIsThere(params, original, storage) {
    const { events } = await storage.events.read({ ...params, limit: 100 });
    let left = events.filter(({ event }) => isFinalEvent(event)).length;
    if (left === 0) return;
    for await (const end of original(params) as unknown as Ends) {
      yield end;
      left -= 1;
      if (left === 0) return;
    }
  },
  'tells of successes only': async function* onlySuccesses(params, original, storage) {
    for await (const end of original(params) as unknown as Ends) {
      const taskId = String(end['task_id']);
      const found = await storage.tasks.get({ tenantId: params.tenantId, taskId });
      if (!found || found.task.status === 'completed') yield end;
    }
  },
  'swallows gaps': async function* swallowing(params, original) {
    for await (const end of original(params) as unknown as Ends) if (end['event'] !== 'gap') yield end;
  },
  'brings tasks that look otherwise': async function* otherwise(params, original, storage) {
    for await (const end of original(params) as unknown as Ends) {
      const taskId = String(end['task_id']);
      const found = await storage.tasks.get({ tenantId: params.tenantId, taskId });
      yield { ...end, task: () => ({ ...found?.task, version: 0 }) };
    }
  },
};

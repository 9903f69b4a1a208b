import type { CallJournal } from '../../storage/call-journal.js';
import type { TaskQueue } from '../../storage/task-queue.js';
import type { TaskRecords } from '../../storage/task-records.js';
import type { WorkerDirectory } from '../../storage/worker-directory.js';
import type { CommandGate } from '../engine-gate.js';
import { finite } from '../unlimited.js';
import { cancelAll, inPortions } from './portions.js';

export function taskRecords(gate: CommandGate): TaskRecords {
  return {
    submit: async (params) => gate.execute('tasks.submit', limited(params)),
    submitBatch: async (params) => gate.execute('tasks.submitBatch', limited(params)),
    getBatch: async (params) => gate.read('tasks.getBatch', params),
    async cancelBatch({ signal, ...params }) {
      const { tenantId, batchId } = params;
      const first = await gate.execute('tasks.cancelBatch', params);
      if (first?.more === true) await cancelAll(gate, { tenantId, group: { batchId } }, signal);
      return first && gate.read('tasks.getBatch', { tenantId, batchId });
    },
    async register({ call, ...params }) {
      const finiteCall = call && { call: { ...call, silenceMs: finite(call.silenceMs) } };
      return gate.execute('tasks.register', { ...limited(params), ...finiteCall });
    },
    redrive: async (params) => gate.execute('tasks.redrive', limited(params)),
    discard: async (params) => gate.execute('tasks.discard', params),
    finish: async (params) => gate.execute('tasks.finish', params),
    progress: async (params) => gate.execute('tasks.progress', params),
    get: async (params) => gate.read('tasks.get', params),
    list: async (params) => gate.read('tasks.list', params),
    counts: async (params) => gate.read('tasks.counts', params),
    cancel: async (params) => gate.execute('tasks.cancel', params),
    signal: async (params) => gate.execute('tasks.signal', params),
    firstReady: async (params) => gate.read('tasks.firstReady', params),
    explain: async (params) => gate.read('tasks.explain', params),
  };
}

export function taskQueue(gate: CommandGate): TaskQueue {
  return {
    // No long poll: the wakeup `ready` reaches each worker of the process.
    claim: async ({ waitMs: _, signal: __, ...params }) => gate.execute('queue.claim', params),
    renew: async (params) => gate.execute('queue.renew', params),
    settle: async (params) => gate.execute('queue.settle', params),
    wake: async (params) => gate.execute('queue.wake', params),
    async sweep({ max }) {
      const { now } = await gate.execute('sweep.expire', {});
      const done: Record<string, number> = {};
      let left = max;
      let nextDueAt: number | undefined;
      await inPortions(async () => {
        const fired = await gate.execute('sweep.fire', { dueBy: now, max: left });
        for (const [kind, count] of Object.entries(fired.done)) done[kind] = (done[kind] ?? 0) + count;
        left -= fired.taken;
        ({ nextDueAt } = fired);
        return left > 0 && nextDueAt !== undefined && nextDueAt <= now;
      });
      return { done, now, ...(nextDueAt !== undefined && { nextDueAt }) };
    },
  };
}

export function callJournal(gate: CommandGate): CallJournal {
  return {
    begin: async (params) => gate.execute('journal.begin', params),
    record: async (params) => gate.execute('journal.record', params),
    changesSince: async (params) => gate.read('journal.changesSince', params),
    read: async (params) => gate.read('journal.read', params),
    report: async (report) => gate.execute('journal.report', report),
    heldReport: async (params) => gate.read('journal.heldReport', params),
  };
}

export function workerDirectory(gate: CommandGate): WorkerDirectory {
  return {
    announce: async (params) => gate.execute('workers.announce', params),
    leave: async (params) => gate.execute('workers.leave', params),
    announced: async (params) => gate.read('workers.announced', params),
    list: async () => gate.read('workers.list', {}),
  };
}

function limited<P extends { readonly maxWaiting: number }>(params: P): P {
  return Number.isFinite(params.maxWaiting) ? params : { ...params, maxWaiting: finite(params.maxWaiting) };
}

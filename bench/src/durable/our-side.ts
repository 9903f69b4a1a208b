import { FileStorage, MemoryStorage, Orchestrator, type Storage } from '@agent-orchestrator/core';
import { RedisStorage } from '@agent-orchestrator/redis-adapter';
import type { DurableOrder, DurableSide } from './durable-side.js';

const PAYLOAD = 'x'.repeat(200);

function storageOf({ side, place }: DurableOrder): Promise<Storage> | Storage {
  if (side === 'memory') return new MemoryStorage();
  if (side === 'redis, AOF') return RedisStorage.connect(place);
  return FileStorage.open(place, { durability: side === 'file, power' ? 'power' : 'process' });
}

/** An orchestrator on a storage of the order's kind. */
export async function startOurs(order: DurableOrder): Promise<DurableSide> {
  const storage = await storageOf(order);
  const orchestrator = new Orchestrator({ storage });
  orchestrator.workflow('steps', async (ctx) => {
    let sum = 0;
    for (const name of ['one', 'two', 'three']) sum += await ctx.run(name, async () => name.length);
    return sum;
  });
  let left = 0;
  let drained = () => {};
  orchestrator.workflow('plain', async () => {
    left -= 1;
    if (left === 0) drained();
    return 1;
  });
  const { tasks } = orchestrator.tenant('bench');
  if (order.work === 'workflows') await orchestrator.start();
  return {
    async runWorkflow() {
      const submitted = await tasks.submit({ type: 'steps', payload: PAYLOAD });
      await submitted.result();
    },
    async submit() {
      await tasks.submit({ type: 'plain', payload: PAYLOAD });
    },
    async drain(count) {
      left = count;
      const all = new Promise<void>((resolve) => {
        drained = resolve;
      });
      await orchestrator.start();
      await all;
    },
    async close() {
      await orchestrator.stop();
      await storage.close();
    },
  };
}

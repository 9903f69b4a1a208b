// One process with a cache: asks for one value as many times as it is told, and says how often it was computed.
import { Orchestrator } from '@agent-orchestrator/core';
import { RedisStorage } from '@agent-orchestrator/redis-adapter';

const { url, nodes, callers, computeMs } = JSON.parse(process.env['CACHE_SETTINGS'] ?? '{}');
const storage = RedisStorage.connect(url ?? { nodes });
const orchestrator = new Orchestrator({ storage });
await storage.ping();

async function askAll(key) {
  let computed = 0;
  const ask = () =>
    orchestrator.cache.getWithCacheAside({ tenant: 'acme', kind: 'answer', key }, async ({ signal }) => {
      computed += 1;
      process.send?.({ computing: key });
      await new Promise((resolve) => {
        setTimeout(resolve, computeMs);
        signal.addEventListener('abort', resolve);
      });
      return { value: { by: process.pid }, tokens: 100, model: 'm' };
    });
  const answers = await Promise.all(Array.from({ length: callers }, ask));
  const values = [...new Set(answers.map(({ value }) => value.by))];
  const hits = answers.filter(({ metrics }) => metrics.hit === 'cache').length;
  process.send?.({ computed, values, hits, answered: answers.length });
}

process.on('message', ({ key }) => void askAll(key));
process.on('disconnect', () => process.exit(0));
process.send?.({ ready: true });

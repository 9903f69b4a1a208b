// Three callers ask for the same summary at the same time: one computes it, the others get its value.
import { Orchestrator } from '@agent-orchestrator/core';

const orchestrator = new Orchestrator();
let computed = 0;
const summary = (document) =>
  orchestrator.cache.getWithCacheAside(
    { tenant: 'acme', kind: 'summary', key: { document }, collection: 'contracts' },
    async () => {
      computed += 1;
      return { value: `summary ${computed} of ${document}`, tokens: 812, model: 'small' };
    },
  );

const answers = await Promise.all([summary('d-17'), summary('d-17'), summary('d-17')]);
console.log(
  'hits:',
  answers
    .map(({ metrics }) => metrics.hit)
    .toSorted()
    .join(' '),
);
console.log('computed:', computed);

const removed = await orchestrator.cache.invalidate({ tenant: 'acme', collection: 'contracts' });
console.log('removed:', removed);
console.log('anew:', (await summary('d-17')).value);
await orchestrator.stop();

const { hits, misses, savedTokens } = orchestrator.stats().cache.summary;
console.log(`${hits} hits, ${misses} misses, ${savedTokens} tokens saved`);

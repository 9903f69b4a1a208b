// A process on a shared storage. `BUDGET_SETTINGS`: {storage: a Redis URL, service?: URL of a model}. Messages: {submits, type,
// tokens?} submits so many tasks at once, and answers {admitted, refused: by code}.
import { Orchestrator } from '@agent-orchestrator/core';
import { RedisStorage } from '@agent-orchestrator/redis-adapter';

const { storage: url, service } = JSON.parse(process.env.BUDGET_SETTINGS ?? '{}');
const storage = RedisStorage.connect(url);
const orchestrator = new Orchestrator({
  storage,
  leaseMs: 1_000,
  prices: { m: { prompt: 1 } },
  ...(service === undefined && { role: 'api' }),
});
if (service !== undefined) orchestrator.service('model', { url: service });
orchestrator.workflow('work', async (ctx) => {
  for (let n = 0; n < 5; n += 1) await ctx.call('model', 'complete', { n });
});
await orchestrator.start();

async function submitAll({ submits, type, tokens }) {
  const acme = orchestrator.tenant('acme');
  const budget = tokens === undefined ? {} : { budget: { tokens } };
  const answers = await Promise.allSettled(
    Array.from({ length: submits }, () => acme.tasks.submit({ type, ...budget })),
  );
  const refused = {};
  for (const { reason } of answers) if (reason) refused[reason.code] = (refused[reason.code] ?? 0) + 1;
  process.send({ admitted: answers.filter(({ status }) => status === 'fulfilled').length, refused });
}

process.on('message', (what) => void submitAll(what));
process.on('disconnect', () => process.exit(0));
process.send({ ready: true });

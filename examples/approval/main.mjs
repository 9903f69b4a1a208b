// A workflow that waits for a person's word: no worker is held meanwhile, and the function is answered from its journal
// when the word comes.
import { Orchestrator } from '@agent-orchestrator/core';

let charged = 0;
const orchestrator = new Orchestrator({
  services: {
    payments: {
      run: async (call) => {
        charged += 1;
        return { refunded: call.input.amount };
      },
    },
  },
});

orchestrator.workflow('refund', async (ctx, { amount }) => {
  if (amount > 100) {
    await ctx.progress({ message: `${amount} is to be approved` });
    const { approved, by } = await ctx.waitForSignal('approval', { timeoutMs: 60_000 });
    if (!approved) return { refunded: 0, refused_by: by };
  }
  return ctx.call('payments', 'refund', { amount });
});

await orchestrator.start();
const acme = orchestrator.tenant('acme');

/** Submits a refund, and says `word` once it is asked for. */
async function refund(amount, word) {
  const { task_id } = await acme.tasks.submit({ type: 'refund', payload: { amount } });
  for await (const event of acme.events.follow({ task_id })) {
    if (event.event === 'task_status_update') {
      console.log(event.data.details.message);
      await acme.tasks.signal(task_id, 'approval', word);
    }
  }
  const { status, result } = await acme.tasks.get(task_id);
  console.log(status, JSON.stringify(result));
}

await refund(20);
await refund(500, { approved: true, by: 'Uxía' });
await refund(900, { approved: false, by: 'Brais' });
console.log(`charged ${charged} times`);

await orchestrator.stop();

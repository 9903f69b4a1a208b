// An application that embeds the orchestrator: one service in this process, one workflow, live events.
import { Orchestrator } from '@agent-orchestrator/core';

const orchestrator = new Orchestrator({
  services: {
    translator: {
      run: async (call) => ({ text: `${call.input.text} (${call.input.to})`, tenant: call.tenant_id }),
    },
  },
});

orchestrator.workflow('translate_all', async (ctx, { texts, languages }) => {
  const pairs = texts.flatMap((text) => languages.map((to) => ({ text, to })));
  const translated = await Promise.all(pairs.map((pair) => ctx.call('translator', 'translate', pair)));
  await ctx.progress({ percent: 100, message: `${translated.length} translations` });
  return translated.map(({ text }) => text);
});

await orchestrator.start();
const acme = orchestrator.tenant('acme');
const task = await acme.tasks.submit({
  type: 'translate_all',
  payload: { texts: ['good morning', 'thank you'], languages: ['gl', 'eu'] },
});

for await (const event of acme.events.follow({ task_id: task.task_id })) {
  console.log(event.event, JSON.stringify(event.data));
}

// Another tenant sees nothing of it.
await orchestrator
  .tenant('globex')
  .tasks.get(task.task_id)
  .catch((error) => console.log(error.code));

await orchestrator.stop();

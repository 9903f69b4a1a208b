// A plan from a file, run against the services of the local stack: steps that do not depend on each other run side by
// side, and `$from` passes results along.
import { readFile } from 'node:fs/promises';
import { Orchestrator } from '@agent-orchestrator/core';
import { addLocalStack } from '@agent-orchestrator/local-stack';

const plan = JSON.parse(await readFile(new URL('ingest-and-ask.json', import.meta.url), 'utf8'));
const orchestrator = new Orchestrator();
const stack = addLocalStack(orchestrator);
await orchestrator.start();
const acme = orchestrator.tenant('acme');

const { task_id } = await acme.tasks.submit({ type: 'workflow', payload: { plan } });
const { status, result, delegated_services } = await acme.tasks.wait(task_id);
console.log(status);
for (const { service, operation } of delegated_services) console.log(`  ${service}.${operation}`);
console.log(`${result.document.chunks} passages, ${result.statistics.words} words`);
console.log(
  result.sources[0].title,
  '-',
  result.sources[0].quote.includes('first Monday') ? 'found' : 'not found',
);

// A plan that can't work is refused before anything of it is run.
const [first] = plan.steps;
for (const step of [
  { ...first, depends_on: ['ask'] },
  { ...first, service: 'coffee' },
]) {
  const broken = { ...plan, steps: [step, ...plan.steps.slice(1)] };
  await acme.tasks
    .submit({ type: 'workflow', payload: { plan: broken } })
    .catch((error) => console.log(`${error.code}: ${error.message}`));
}

await stack.stop();
await orchestrator.stop();

// An orchestrator that calls a service in Python: node examples/python-service/main.mjs
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Orchestrator } from '@agent-orchestrator/core';
import { createIdentities, OrchestratorServer } from '@agent-orchestrator/ws-server';

const token = crypto.randomUUID();
const orchestrator = new Orchestrator();
const server = await new OrchestratorServer(orchestrator, {
  identities: createIdentities({ apiKeys: [], serviceTokens: [{ service: 'text', token }] }),
}).listen(0);

const program = fileURLToPath(new URL('text_service.py', import.meta.url));
const python = spawn('python3', [program], {
  stdio: ['ignore', 'pipe', 'inherit'],
  env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1', ORCHESTRATOR_URL: server.url, SERVICE_TOKEN: token },
});
const [line] = await once(createInterface(python.stdout), 'line');
orchestrator.service('text', { url: JSON.parse(line).url, token });

orchestrator.workflow('digest', async (ctx, text) => {
  const [statistics, { summary }] = await Promise.all([
    ctx.call('text', 'statistics', { text }),
    ctx.call('text', 'summarise', { text }),
  ]);
  return { ...statistics, summary };
});

const acme = orchestrator.tenant('acme');
const payload =
  'A task is stored before it is run. A worker claims the task and runs its workflow. When the worker is lost, another worker runs the task again. It rains.';
const task = await acme.tasks.submit({ type: 'digest', payload });
for await (const event of acme.events.follow({ task_id: task.task_id })) {
  const { status, details } = event.event === 'task_status_update' ? event.data : {};
  console.log(status ? `${event.event} ${status}: ${details.percent} %` : event.event);
  if (event.event === 'task_completed') console.log(event.data);
}

const refused = await acme.tasks.submit({ type: 'digest', payload: '' });
console.log((await acme.tasks.wait(refused.task_id)).error);
python.kill('SIGTERM');
await once(python, 'exit');
await server.stop();

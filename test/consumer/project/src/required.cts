// The same packages from CommonJS.
import core = require('@agent-orchestrator/core');
import coreNotifier = require('@agent-orchestrator/core/notifier');
import localStack = require('@agent-orchestrator/local-stack');
import notifier = require('@agent-orchestrator/notifier');
import redisAdapter = require('@agent-orchestrator/redis-adapter');
import wsServer = require('@agent-orchestrator/ws-server');

async function main(): Promise<void> {
  await using orchestrator = new core.Orchestrator();
  orchestrator.workflow('greet', async (_ctx, { name }: { name: string }) => ({ said: `hello ${name}` }));
  await orchestrator.start();
  const { tasks } = orchestrator.tenant('acme');
  const { task_id } = await tasks.submit({ type: 'greet', payload: { name: 'you' } });
  console.log(JSON.stringify((await tasks.wait(task_id)).result));
  console.log(`one TaskNotifier: ${notifier.TaskNotifier === coreNotifier.TaskNotifier}`);
  const others = [localStack.addLocalStack, redisAdapter.RedisStorage, wsServer.OrchestratorServer];
  console.log(others.map((each) => typeof each).join());
}

void main();

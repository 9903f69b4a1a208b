// Uses each entry point as a project of its own would.
import { MemoryStorage, Orchestrator, type Storage } from '@agent-orchestrator/core';
import { TaskNotifier as CoreNotifier } from '@agent-orchestrator/core/notifier';
import { addLocalStack } from '@agent-orchestrator/local-stack';
import {
  TaskNotifier,
  WebSocketTransport,
  type WebSocketTransportOptions,
} from '@agent-orchestrator/notifier';
import { RedisStorage, type RedisStorageOptions } from '@agent-orchestrator/redis-adapter';
import { createIdentities, OrchestratorServer } from '@agent-orchestrator/ws-server';

interface Greeting {
  readonly name: string;
}

const storage: Storage = new MemoryStorage();
const orchestrator = new Orchestrator({ storage });
const stack = addLocalStack(orchestrator);
orchestrator.workflow('greet', async (_ctx, { name }: Greeting) => ({ said: `hello ${name}` }));

const identities = createIdentities({ serviceTokens: [{ service: 'query', token: 'token-of-query' }] });
const server = await new OrchestratorServer(orchestrator, { identities }).listen(0);

const acme = orchestrator.tenant('acme');
const { task_id } = await acme.tasks.submit({ type: 'greet', payload: { name: 'you' } });
console.log(JSON.stringify((await acme.tasks.wait(task_id)).result));

const link: WebSocketTransportOptions = { url: server.url, token: 'token-of-query' };
const notifier = new TaskNotifier({ serviceName: 'query', transport: new WebSocketTransport(link) });
await notifier.ready();
console.log(`one TaskNotifier: ${TaskNotifier === CoreNotifier}`);
await notifier.close();

// Connects to nothing before it is asked for something.
const options: RedisStorageOptions = {};
export const connect = (url: string): Storage => RedisStorage.connect(url, options);

await server.stop();
await stack.stop();

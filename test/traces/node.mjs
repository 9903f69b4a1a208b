// A process on a Redis. `TRACE_SETTINGS`: {storage: its URL, type, service: URL, role: 'api' | 'worker'}. An api serves HTTP.
import { Orchestrator } from '@agent-orchestrator/core';
import { RedisStorage } from '@agent-orchestrator/redis-adapter';
import { createIdentities, OrchestratorServer } from '@agent-orchestrator/ws-server';

const { storage: url, type, service, role } = JSON.parse(process.env.TRACE_SETTINGS ?? '{}');
const orchestrator = new Orchestrator({
  storage: RedisStorage.connect(url),
  role,
  leaseMs: 500,
  parkAfterMs: 0,
});
orchestrator.service('svc', { url: service, token: 'canary-service' });
orchestrator.workflow(type, async (ctx) => {
  await ctx.call('svc', 'first', { text: 'canary-text' });
  await ctx.run('note', () => 'canary-note');
  return ctx.call('svc', 'second');
});
if (role === 'api') {
  const identities = createIdentities({
    apiKeys: [{ key: 'canary-key', tenant: 'traced' }],
    serviceTokens: [],
  });
  const server = new OrchestratorServer(orchestrator, { identities });
  await server.listen(0);
  process.send({ ready: server.url });
} else {
  await orchestrator.start();
  process.send({ ready: '' });
}

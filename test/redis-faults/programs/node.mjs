// One process of the orchestrator: `api` with its server, whose URL it sends, or `worker`.
import { Orchestrator } from '@agent-orchestrator/core';
import { RedisStorage } from '@agent-orchestrator/redis-adapter';
import { createIdentities, OrchestratorServer } from '@agent-orchestrator/ws-server';

const { redisUrl, role, serviceUrl, apiKey, token } = JSON.parse(process.env['NODE_SETTINGS'] ?? '{}');
const orchestrator = new Orchestrator({
  storage: RedisStorage.connect(redisUrl),
  role,
  services: { query: { url: serviceUrl, token } },
});
orchestrator.workflow('long-question', (ctx, question) => ctx.call('query', 'run', { question }));

if (role === 'worker') {
  await orchestrator.start();
  process.send?.('');
} else {
  const identities = createIdentities({
    apiKeys: [{ tenant: 'acme', key: apiKey }],
    serviceTokens: [{ service: 'query', token }],
  });
  const server = await new OrchestratorServer(orchestrator, { identities }).listen(0);
  process.send?.(server.url);
}
process.on('disconnect', () => process.exit(0));

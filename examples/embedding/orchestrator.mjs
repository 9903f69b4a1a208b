// The orchestrator of all examples in this folder: one workflow, one API key.
import { Orchestrator } from '@agent-orchestrator/core';
import { createIdentities, OrchestratorServer } from '@agent-orchestrator/ws-server';

const orchestrator = new Orchestrator();
orchestrator.workflow('greet', async (ctx, { name, approval = false }) => {
  if (approval) await ctx.waitForSignal('approved', { timeoutMs: 60_000 });
  await ctx.progress({ message: `looking for ${name}` });
  return { said: `hello ${name}` };
});

const identities = createIdentities({
  apiKeys: [{ key: process.env.API_KEY ?? 'change-this-key', tenant: 'acme' }],
});
export const server = new OrchestratorServer(orchestrator, { identities });

/** On SIGTERM and Ctrl-C: streams and sockets are closed, running tasks get ten seconds, then the host ends. */
export function stopOnSignal(closeHost) {
  for (const signal of ['SIGTERM', 'SIGINT']) {
    process.once(signal, () => void server.stop().then(closeHost));
  }
}

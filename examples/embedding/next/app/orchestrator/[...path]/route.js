import { toFetchHandler } from '@agent-orchestrator/ws-server';
import { server } from '../../../../orchestrator.mjs';

export const runtime = 'nodejs';
export const dynamic = 'force-dynamic';

const handle = toFetchHandler(server, { prefix: '/orchestrator' });

async function answer(request) {
  await server.start(); // returns at once when it runs already
  return handle(request);
}

export { answer as GET, answer as POST, answer as PATCH, answer as DELETE };

import { createServer } from 'node:http';
import { toNodeHandler } from '@agent-orchestrator/ws-server';
import { server, stopOnSignal } from './orchestrator.mjs';

const prefix = '/orchestrator';
const handle = toNodeHandler(server, { prefix });

const host = createServer((request, response) => {
  if (request.url.startsWith(`${prefix}/`)) void handle(request, response);
  else response.end('the host\n');
});
server.attach(host, { prefix });

await server.start();
host.listen(Number(process.env.PORT ?? 8000), '127.0.0.1', () => {
  console.log(`listens at http://127.0.0.1:${host.address().port}${prefix}`);
});
stopOnSignal(() => host.close());

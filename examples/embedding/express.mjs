import { createServer } from 'node:http';
import { toNodeHandler } from '@agent-orchestrator/ws-server';
import express from 'express';
import { server, stopOnSignal } from './orchestrator.mjs';

const prefix = '/orchestrator';
const app = express();
app.use(prefix, toNodeHandler(server, { prefix })); // before body parsers and compression
app.use(express.json());
app.get('/', (_request, response) => response.send('the host\n'));

const host = createServer(app);
server.attach(host, { prefix });

await server.start();
host.listen(Number(process.env.PORT ?? 8000), '127.0.0.1', () => {
  console.log(`listens at http://127.0.0.1:${host.address().port}${prefix}`);
});
stopOnSignal(() => host.close());

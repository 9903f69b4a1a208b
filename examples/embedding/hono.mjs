import { serve } from '@hono/node-server';
import { toFetchHandler } from '@agent-orchestrator/ws-server';
import { Hono } from 'hono';
import { server, stopOnSignal } from './orchestrator.mjs';

const prefix = '/orchestrator';
const handle = toFetchHandler(server, { prefix });
const app = new Hono();
app.all(`${prefix}/*`, (context) => handle(context.req.raw));
app.get('/', (context) => context.text('the host\n'));

await server.start();
const options = { fetch: app.fetch, port: Number(process.env.PORT ?? 8000), hostname: '127.0.0.1' };
const host = serve(options, ({ port }) => console.log(`listens at http://127.0.0.1:${port}${prefix}`));
server.attach(host, { prefix });
stopOnSignal(() => host.close());

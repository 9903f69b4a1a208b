import { toNodeHandler } from '@agent-orchestrator/ws-server';
import fastify from 'fastify';
import { server, stopOnSignal } from './orchestrator.mjs';

const prefix = '/orchestrator';
const handle = toNodeHandler(server, { prefix });
const app = fastify();

app.register(
  async (scope) => {
    // In this scope Fastify parses no body: the orchestrator reads it.
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', (_request, _body, done) => done(null));
    scope.all('/*', async (request, reply) => {
      reply.hijack();
      await handle(request.raw, reply.raw);
    });
  },
  { prefix },
);
app.get('/', async () => 'the host\n');
server.attach(app.server, { prefix });

await server.start();
const url = await app.listen({ port: Number(process.env.PORT ?? 8000), host: '127.0.0.1' });
console.log(`listens at ${url}${prefix}`);
stopOnSignal(() => app.close());

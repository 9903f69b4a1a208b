import { idSchema } from '@agent-orchestrator/core/protocol';
import { z } from 'zod';
import { sendSystemEvents } from '../follow-system-events.js';
import { operatorStream } from '../operator-stream.js';
import { json, type Route, route } from '../route.js';
import { sendOverview } from '../send-overview.js';

const servicesQuerySchema = z.strictObject({
  name: idSchema.optional(),
  ping: z.enum(['true', 'false'], 'expected true or false').optional(),
});

/** For operators: workers, services, and the whole at a glance. */
export const overviewRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: '/admin/v1/workers',
    who: 'operator',
    summary: 'Live workers and the task types they run.',
    async handle({ admin }) {
      return json(200, { items: await admin.workers() });
    },
  }),
  route({
    method: 'GET',
    path: '/admin/v1/services',
    who: 'operator',
    summary:
      'Services of this process: breaker, calls, errors and latency of the last minutes; with "ping" whether each answers now.',
    query: servicesQuerySchema,
    async handle({ query: { name, ping }, request, services: { board, stopping } }) {
      if (ping === 'true')
        return json(200, { items: await board.pinged(name, AbortSignal.any([request.signal, stopping])) });
      const items = board.reports();
      return json(200, { items: name === undefined ? items : items.filter((one) => one.name === name) });
    },
  }),
  route({
    method: 'GET',
    path: '/admin/v1/overview',
    who: 'operator',
    summary: 'Follow a snapshot every 2 s (SSE), after those of the last hour at 10 s.',
    handle: ({ request, services, credential }) =>
      operatorStream({
        ...{ request, services, credential },
        stream: 'overview',
        pump: (stream, signal) => sendOverview(stream, services.overview, signal),
      }),
  }),
  route({
    method: 'GET',
    path: '/admin/v1/system-events',
    who: 'operator',
    summary: 'Follow system events (SSE): recent ones, then new ones; best effort.',
    handle: ({ request, services, admin, credential }) =>
      operatorStream({
        ...{ request, services, credential },
        stream: 'system-events',
        pump: (stream, signal) => sendSystemEvents(stream, admin, signal),
      }),
  }),
];

import { ticketRequestSchema } from '../../auth/tickets.js';
import { json, type Route, route } from '../route.js';

/** Tickets: sockets and streams for browsers without a key in the URL. */
export const ticketRoutes: readonly Route[] = [
  route({
    method: 'POST',
    path: '/v1/tickets',
    who: 'client',
    scope: 'chat',
    summary:
      'A ticket for "?ticket=" of /ws/client and of streams of events: good once, for 30 seconds, for one topic if named.',
    body: ticketRequestSchema.nullish(),
    async handle({ body, caller, tenant, services, credential }) {
      return json(
        201,
        await services.tickets.issue(tenant, { token: credential.token, caller, topic: body ?? undefined }),
      );
    },
  }),
];

import { json, type Route, route } from '../route.js';

/** How a browser opens a socket without showing its key in a URL. */
export const ticketRoutes: readonly Route[] = [
  route({
    method: 'POST',
    path: '/v1/tickets',
    who: 'client',
    summary: 'A ticket for /ws/client?ticket=…: good once, for 30 seconds.',
    handle: ({ services, token }) => json(201, services.tickets.issue(token)),
  }),
];

import type { Route } from '../route.js';
import { batchRoutes } from './batch.js';
import { chatRoutes } from './chat.js';
import { healthRoutes } from './health.js';
import { internalRoutes } from './internal.js';
import { sessionRoutes } from './sessions.js';
import { taskRoutes } from './tasks.js';
import { ticketRoutes } from './tickets.js';
import { usageRoutes } from './usage.js';

/** Every route there is: method, path, who may call it, what its body and query must be, what it does. */
export const ROUTES: readonly Route[] = [
  ...chatRoutes,
  ...taskRoutes,
  ...sessionRoutes,
  ...batchRoutes,
  ...usageRoutes,
  ...ticketRoutes,
  ...internalRoutes,
  ...healthRoutes,
];

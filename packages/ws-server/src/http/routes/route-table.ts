import type { Route } from '../route.js';
import { batchRoutes } from './batch.js';
import { chatRoutes } from './chat.js';
import { healthRoutes } from './health.js';
import { internalRoutes } from './internal.js';
import { metricsRoutes } from './metrics.js';
import { sessionRoutes } from './sessions.js';
import { taskRoutes } from './tasks.js';
import { ticketRoutes } from './tickets.js';
import { usageRoutes } from './usage.js';

/** What a server answers that serves nobody but whoever watches over it. */
export const HEALTH_ROUTES: readonly Route[] = [...healthRoutes, ...metricsRoutes];

/** Every route there is: method, path, who may call it, what its body and query must be, what it does. */
export const ROUTES: readonly Route[] = [
  ...chatRoutes,
  ...taskRoutes,
  ...sessionRoutes,
  ...batchRoutes,
  ...usageRoutes,
  ...ticketRoutes,
  ...internalRoutes,
  ...HEALTH_ROUTES,
];

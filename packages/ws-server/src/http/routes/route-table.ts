import type { Route } from '../route.js';
import { adminRoutes } from './admin.js';
import { batchRoutes } from './batch.js';
import { chatRoutes } from './chat.js';
import { healthRoutes } from './health.js';
import { internalRoutes } from './internal.js';
import { metricsRoutes } from './metrics.js';
import { sessionRoutes } from './sessions.js';
import { taskRoutes } from './tasks.js';
import { ticketRoutes } from './tickets.js';
import { usageRoutes } from './usage.js';

/** Routes of a server with `serves: 'health'`. */
export const HEALTH_ROUTES: readonly Route[] = [...healthRoutes, ...metricsRoutes];

/** All routes: method, path, required caller, schemas of body and query, handler. */
export const ROUTES: readonly Route[] = [
  ...chatRoutes,
  ...taskRoutes,
  ...sessionRoutes,
  ...batchRoutes,
  ...usageRoutes,
  ...ticketRoutes,
  ...internalRoutes,
  ...adminRoutes,
  ...HEALTH_ROUTES,
];

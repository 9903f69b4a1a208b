import { json, type Route, route } from '../route.js';

/** Liveness and readiness. */
export const healthRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: '/health/live',
    who: 'public',
    summary: 'The process answers.',
    handle: () => json(200, { status: 'ok' }),
  }),
  route({
    method: 'GET',
    path: '/health/ready',
    who: 'public',
    summary: 'Work gets on: 200; else 503 with what does not.',
    async handle({ services }) {
      const { ready, checks } = await services.orchestrator.health();
      return json(ready ? 200 : 503, { ready, checks }, ready ? {} : { 'retry-after': '1' });
    },
  }),
];

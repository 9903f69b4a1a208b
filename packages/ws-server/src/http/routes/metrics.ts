import { type Route, route } from '../route.js';

/** Metrics in the Prometheus text format. */
export const metricsRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: '/metrics',
    who: 'public',
    summary: 'Metrics of this process, as text for Prometheus.',
    async handle({ services }) {
      const { metrics } = services;
      return { status: 200, headers: { 'content-type': metrics.contentType }, body: await metrics.text() };
    },
  }),
];

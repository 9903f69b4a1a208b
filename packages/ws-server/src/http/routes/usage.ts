import { listSchema, USAGE_DIMENSIONS } from '@agent-orchestrator/core/protocol';
import { z } from 'zod';
import { json, type Route, route } from '../route.js';

const groupsSchema = z
  .string()
  .transform((text): unknown[] => text.split(','))
  .pipe(listSchema(z.enum(USAGE_DIMENSIONS), { min: 1, max: USAGE_DIMENSIONS.length }));

/** Range and dimensions of a query for usage. */
export const usageQuery = {
  from: z.iso.date().optional(),
  to: z.iso.date().optional(),
  group_by: groupsSchema.optional(),
};
const usageQuerySchema = z.object(usageQuery);

export function usageRange({ from, to, group_by: by }: z.output<typeof usageQuerySchema>) {
  return {
    ...(from !== undefined && { from }),
    ...(to !== undefined && { to }),
    ...(by && { by }),
  };
}

/** Consumption of a tenant. */
export const usageRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: '/v1/usage',
    who: 'client',
    scope: 'tasks',
    summary:
      'Usage by day, model and operation, or "group_by" (also session, task, agent, user), the days "from" to "to" (UTC, both included; default: the last 30).',
    query: usageQuerySchema,
    async handle({ query, tenant }) {
      return json(200, { rows: await tenant.usage.sum(usageRange(query)) });
    },
  }),
];

import { listSchema } from '@agent-orchestrator/core/protocol';
import { dayOf } from '@agent-orchestrator/core/storage';
import type { UsageRow } from '@agent-orchestrator/core/storage';
import { z } from 'zod';
import { json, type Route, route } from '../route.js';

const DAY_MS = 24 * 60 * 60_000;
/** Days covered by default, without `from`. */
const DEFAULT_DAYS = 30;
const GROUPS = ['day', 'model', 'operation'] as const;
type Group = (typeof GROUPS)[number];

const groupsSchema = z
  .string()
  .transform((text): unknown[] => text.split(','))
  .pipe(listSchema(z.enum(GROUPS), { min: 1, max: GROUPS.length }));

const usageQuerySchema = z.object({
  from: z.iso.date().optional(),
  to: z.iso.date().optional(),
  group_by: groupsSchema.optional(),
});

/** Consumption of a tenant. */
export const usageRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: '/v1/usage',
    who: 'client',
    scope: 'tasks',
    summary:
      'Tokens by day, model and operation, the days "from" to "to" (UTC, both included; default: the last 30).',
    query: usageQuerySchema,
    async handle({ query, tenant, services }) {
      const to = query.to ?? dayOf(services.clock.now());
      const from = query.from ?? dayOf(Date.parse(to) - (DEFAULT_DAYS - 1) * DAY_MS);
      const rows = await tenant.usage.sum({ from, to });
      return json(200, { rows: query.group_by ? grouped(rows, query.group_by) : rows });
    },
  }),
];

type UsageSum = Partial<Pick<UsageRow, Group>> & Pick<UsageRow, 'tokens' | 'requests' | 'saved_tokens'>;

/** Sums of rows with equal `groups`. */
function grouped(rows: readonly UsageRow[], groups: readonly Group[]): readonly UsageSum[] {
  const sums = new Map<string, UsageSum>();
  for (const row of rows) {
    const key = JSON.stringify(groups.map((group) => row[group]));
    const sum = sums.get(key);
    sums.set(key, {
      ...Object.fromEntries(groups.map((group) => [group, row[group]])),
      tokens: (sum?.tokens ?? 0) + row.tokens,
      requests: (sum?.requests ?? 0) + row.requests,
      saved_tokens: (sum?.saved_tokens ?? 0) + row.saved_tokens,
    });
  }
  return [...sums.values()];
}

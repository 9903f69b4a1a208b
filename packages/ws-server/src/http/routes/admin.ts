import { isFinal } from '@agent-orchestrator/core';
import type { BulkOptions } from '@agent-orchestrator/core/server';
import {
  cacheInvalidationSchema,
  cancelBodySchema,
  deadLetterFilterSchema,
  errorCodeSchema,
  idPrefixSchema,
  idSchema,
  optionalJsonSchema,
  pageQuery,
  sinceSchema,
  TASK_STATUSES,
  taskTypeSchema,
  tenantPatchSchema,
} from '@agent-orchestrator/core/protocol';
import { z } from 'zod';
import { present } from '../present.js';
import type { NeutralRequest } from '../neutral-request.js';
import { overviewRoutes } from './admin-overview.js';
import { json, type Route, route, type RouteServices } from '../route.js';
import { usageQuery, usageRange } from './usage.js';

const pageQuerySchema = z.strictObject(pageQuery);
const taskQuerySchema = z.strictObject({
  status: z.enum(TASK_STATUSES).optional(),
  type: taskTypeSchema.optional(),
  session_id: idSchema.optional(),
  code: errorCodeSchema.optional(),
  since: sinceSchema.optional(),
  prefix: idPrefixSchema.optional(),
  ...pageQuery,
});
const deadLetterQuerySchema = z.strictObject({
  tenant: idSchema,
  type: taskTypeSchema.optional(),
  code: errorCodeSchema.optional(),
  since: sinceSchema.optional(),
  prefix: idPrefixSchema.optional(),
  ...pageQuery,
});
const queueQuerySchema = z.strictObject({ tenant: idSchema.optional(), ...pageQuery });
const bulkBodySchema = z.strictObject({
  filter: deadLetterFilterSchema,
  dry_run: z.boolean().nullish(),
  cursor: pageQuery.cursor.nullable(),
});
const journalQuerySchema = z.strictObject({ after: z.coerce.number().int().min(0).max(1e9).optional() });
const redriveBodySchema = z.strictObject({ payload: optionalJsonSchema });

const TENANT = '/admin/v1/tenants/{tenant_id}';
const TASK = `${TENANT}/tasks/{task_id}` as const;

const tenantRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: '/admin/v1/tenants',
    who: 'operator',
    summary: 'Tenants with settings and task counts, by id.',
    query: pageQuerySchema,
    async handle({ query, admin }) {
      return json(200, await admin.tenants(present(query)));
    },
  }),
  route({
    method: 'GET',
    path: TENANT,
    who: 'operator',
    summary: 'A tenant; an unknown one has defaults and zeros.',
    async handle({ params, admin }) {
      return json(200, await admin.tenant(params.tenant_id));
    },
  }),
  route({
    method: 'PATCH',
    path: TENANT,
    who: 'operator',
    summary: 'Change settings of a tenant: absent ones stay, null is the default; creates an unknown tenant.',
    body: tenantPatchSchema,
    async handle({ params, body, admin }) {
      return json(200, await admin.configure(params.tenant_id, body));
    },
  }),
  route({
    method: 'POST',
    path: `${TENANT}/cache/invalidate`,
    who: 'operator',
    summary: 'Remove cached values of a tenant: all, or those of a "collection".',
    body: cacheInvalidationSchema.nullish(),
    async handle({ params, body, admin }) {
      return json(200, await admin.invalidateCache(params.tenant_id, body ?? {}));
    },
  }),
  route({
    method: 'GET',
    path: '/admin/v1/queues',
    who: 'operator',
    summary:
      'Load of all tenants; with "tenant" that one, and the next tasks of its queue with their reasons.',
    query: queueQuerySchema,
    async handle({ query: { tenant, ...page }, admin }) {
      if (tenant === undefined) return json(200, await admin.tenants(present(page)));
      return json(200, { items: [await admin.queue(tenant, { limit: page.limit })] });
    },
  }),
];

const taskRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: `${TENANT}/tasks`,
    who: 'operator',
    summary:
      'Tasks of a tenant, newest first; "code" of an error, "since" the last change, "prefix" of the id.',
    query: taskQuerySchema,
    async handle({ params, query: { session_id: sessionId, prefix: idPrefix, ...query }, admin }) {
      return json(200, await admin.tasks({ tenantId: params.tenant_id, sessionId, idPrefix, ...query }));
    },
  }),
  route({
    method: 'GET',
    path: TASK,
    who: 'operator',
    summary: 'Show a task.',
    async handle({ params, admin }) {
      return json(200, await admin.task(taskOf(params)));
    },
  }),
  route({
    method: 'GET',
    path: `${TASK}/why`,
    who: 'operator',
    summary: 'State of a task with its reason; of a failed one with the thrown error.',
    async handle({ params, admin }) {
      return json(200, await admin.explain(taskOf(params)));
    },
  }),
  route({
    method: 'GET',
    path: `${TASK}/journal`,
    who: 'operator',
    summary: 'Steps of a task in any state, in pages, with what its runs begin with and its events.',
    query: journalQuerySchema,
    async handle({ params, query: { after }, admin }) {
      return json(200, await admin.journal({ ...taskOf(params), after }));
    },
  }),
  route({
    method: 'GET',
    path: `${TASK}/timeline`,
    who: 'operator',
    summary: 'Attempts and steps of a task with their times.',
    async handle({ params, admin }) {
      return json(200, await admin.timeline(taskOf(params)));
    },
  }),
  route({
    method: 'POST',
    path: `${TASK}/cancel`,
    who: 'operator',
    summary: 'Cancel a task: 200 when it has ended, 202 while its worker still has its grace.',
    body: cancelBodySchema.strict().nullish(),
    async handle({ params, body, admin }) {
      const task = await admin.cancel({ ...taskOf(params), reason: body?.reason });
      return json(isFinal(task.status) ? 200 : 202, task);
    },
  }),
  route({
    method: 'POST',
    path: `${TASK}/redrive`,
    who: 'operator',
    summary:
      'Run a failed task again without its successful steps, or with another payload and all steps: 202 with the new task, the same one when repeated.',
    body: redriveBodySchema.nullish(),
    async handle({ params, body, admin }) {
      return json(202, await admin.redrive({ ...taskOf(params), payload: body?.payload }));
    },
  }),
];

const deadLetterRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: '/admin/v1/dead-letters',
    who: 'operator',
    summary: 'Failed tasks of a tenant, newest first.',
    query: deadLetterQuerySchema,
    async handle({ query: { tenant: tenantId, prefix: idPrefix, ...query }, admin }) {
      return json(200, await admin.tasks({ tenantId, status: 'failed', idPrefix, ...query }));
    },
  }),
  route({
    method: 'POST',
    path: '/admin/v1/dead-letters/redrive',
    who: 'operator',
    summary:
      'Redrive the failed tasks that fit a filter, at most 1,000 at a time; "dry_run" only counts them.',
    body: bulkBodySchema,
    async handle({ body, admin, request, services }) {
      return json(200, await admin.redriveAll(body.filter, bulkOptions(body, request, services)));
    },
  }),
  route({
    method: 'POST',
    path: '/admin/v1/dead-letters/discard',
    who: 'operator',
    summary:
      'Remove the failed tasks that fit a filter, at most 1,000 at a time; "dry_run" only counts them.',
    body: bulkBodySchema,
    async handle({ body, admin, request, services }) {
      return json(200, await admin.discardAll(body.filter, bulkOptions(body, request, services)));
    },
  }),
];

/** For operators, over all tenants. */
export const adminRoutes: readonly Route[] = [
  ...tenantRoutes,
  ...taskRoutes,
  ...deadLetterRoutes,
  route({
    method: 'GET',
    path: '/admin/v1/usage',
    who: 'operator',
    summary: 'What a tenant has used, as in /v1/usage.',
    query: z.strictObject({ tenant: idSchema, ...usageQuery }),
    async handle({ query: { tenant: tenantId, ...query }, admin }) {
      return json(200, { rows: await admin.usage({ tenantId, ...usageRange(query) }) });
    },
  }),
  ...overviewRoutes,
];

function taskOf(params: { readonly tenant_id: string; readonly task_id: string }) {
  return { tenantId: params.tenant_id, taskId: params.task_id };
}

function bulkOptions(
  { dry_run: dryRun, cursor }: z.output<typeof bulkBodySchema>,
  request: NeutralRequest,
  services: RouteServices,
): BulkOptions {
  const signal = AbortSignal.any([request.signal, services.stopping]);
  return { dryRun: dryRun ?? undefined, cursor: cursor ?? undefined, signal };
}

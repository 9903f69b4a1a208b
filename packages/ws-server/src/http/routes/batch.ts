import { batchSubmissionSchema, pageQuery } from '@agent-orchestrator/core/protocol';
import { present } from '../present.js';
import { batchSubmittedBy } from '../submitted-by.js';
import { z } from 'zod';
import { json, replayed, type Route, route } from '../route.js';

const pageQuerySchema = z.object({
  results: z
    .enum(['true', 'false'])
    .transform((text) => text === 'true')
    .optional(),
  cursor: pageQuery.cursor,
});

/** Batches: many tasks under one id. */
export const batchRoutes: readonly Route[] = [
  route({
    method: 'POST',
    path: '/v1/batch',
    who: 'client',
    scope: 'tasks',
    summary: 'Submit up to 1,000 requests, each a body of /v1/tasks or /v1/chat; a bad one fails alone.',
    body: batchSubmissionSchema,
    idempotent: true,
    async handle({ body, caller, tenant, request, idempotencyKey }) {
      const batch = batchSubmittedBy(caller, body);
      const submitted = await tenant.batches.submit(batch, present({ idempotencyKey }));
      const location = `${request.prefix}/v1/batch/${submitted.batch.batch_id}`;
      return json(202, submitted.batch, { location, ...replayed(submitted.replayed) });
    },
  }),
  route({
    method: 'GET',
    path: '/v1/batch/{batch_id}',
    who: 'client',
    scope: 'tasks',
    summary: 'How far a batch is, and a page of its items; with "results=true" with their results.',
    query: pageQuerySchema,
    async handle({ params, query, tenant }) {
      return json(200, await tenant.batches.get(params.batch_id, present(query)));
    },
  }),
  route({
    method: 'POST',
    path: '/v1/batch/{batch_id}/cancel',
    who: 'client',
    scope: 'tasks',
    summary: 'Cancel what has not ended of a batch.',
    async handle({ params, tenant }) {
      return json(200, await tenant.batches.cancel(params.batch_id));
    },
  }),
];

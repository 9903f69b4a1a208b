import { isFinal } from '@agent-orchestrator/core';
import { TASK_STATUSES } from '@agent-orchestrator/core/protocol';
import {
  cancelBodySchema,
  errorCodeSchema,
  idPrefixSchema,
  idSchema,
  pageQuery,
  signalBodySchema,
  sinceSchema,
  taskSubmissionSchema,
  taskTypeSchema,
} from '@agent-orchestrator/core/protocol';
import { z } from 'zod';
import { followTask } from '../follow-answer.js';
import { present } from '../present.js';
import { json, type Route, route } from '../route.js';
import { submittedBy } from '../submitted-by.js';
import { acceptedAnswer } from '../task-answer.js';

const listQuerySchema = z.object({
  status: z.enum(TASK_STATUSES).optional(),
  type: taskTypeSchema.optional(),
  session_id: idSchema.optional(),
  code: errorCodeSchema.optional(),
  since: sinceSchema.optional(),
  prefix: idPrefixSchema.optional(),
  ...pageQuery,
});

/** Tasks: submit, read, follow, cancel, signal. */
export const taskRoutes: readonly Route[] = [
  route({
    method: 'POST',
    path: '/v1/tasks',
    who: 'client',
    scope: 'tasks',
    summary: 'Submit a task of any type.',
    body: taskSubmissionSchema,
    idempotent: true,
    async handle({ body, caller, tenant, request, services, idempotencyKey }) {
      const accepted = await tenant.tasks.submit(
        submittedBy(caller, body),
        idempotencyKey === undefined ? {} : { idempotencyKey },
      );
      return acceptedAnswer({ request, services, tenant, accepted });
    },
  }),
  route({
    method: 'GET',
    path: '/v1/tasks',
    who: 'client',
    scope: 'tasks',
    summary: 'List tasks, newest first.',
    query: listQuerySchema,
    async handle({ query: { session_id: sessionId, prefix: idPrefix, ...query }, tenant }) {
      return json(200, await tenant.tasks.list(present({ ...query, sessionId, idPrefix })));
    },
  }),
  route({
    method: 'GET',
    path: '/v1/tasks/{task_id}',
    who: 'client',
    scope: 'tasks',
    summary: 'Show a task.',
    async handle({ params, tenant }) {
      return json(200, await tenant.tasks.get(params.task_id));
    },
  }),
  route({
    method: 'GET',
    path: '/v1/tasks/{task_id}/events',
    who: 'client',
    scope: ['chat', 'tasks'],
    summary: 'Follow a task (SSE); "Last-Event-ID" resumes, 204 past the final event.',
    takesTicket: true,
    handle: ({ params, ...follow }) => followTask(follow, params.task_id),
  }),
  route({
    method: 'POST',
    path: '/v1/tasks/{task_id}/cancel',
    who: 'client',
    scope: 'tasks',
    summary: 'Cancel a task: 200 when it has ended, 202 while its worker still has its grace.',
    body: cancelBodySchema.nullish(),
    async handle({ params, body, tenant }) {
      const task = await tenant.tasks.cancel(params.task_id, present({ reason: body?.reason }));
      return json(isFinal(task.status) ? 200 : 202, task);
    },
  }),
  route({
    method: 'POST',
    path: '/v1/tasks/{task_id}/signals/{name}',
    who: 'client',
    scope: 'chat',
    summary: 'Give a waiting workflow what it waits for; kept until it asks.',
    body: signalBodySchema.nullish(),
    idempotent: true,
    async handle({ params, body, tenant, idempotencyKey }) {
      const { task_id, name } = params;
      await tenant.tasks.signal(task_id, name, body?.payload ?? null, { idempotencyKey });
      return json(202, { task_id, name });
    },
  }),
];

import { chatRequestSchema } from '@agent-orchestrator/core/protocol';
import { type Route, route } from '../route.js';
import { submittedBy } from '../submitted-by.js';
import { acceptedAnswer } from '../task-answer.js';

export const chatRoutes: readonly Route[] = [
  route({
    method: 'POST',
    path: '/v1/chat',
    who: 'client',
    scope: 'chat',
    summary:
      'Say something in a session; with "Prefer: wait=N" the answer comes along if it is there in time.',
    body: chatRequestSchema,
    idempotent: true,
    async handle({ body, caller, tenant, request, services, idempotencyKey }) {
      const accepted = await tenant.chat(
        submittedBy(caller, body),
        idempotencyKey === undefined ? {} : { idempotencyKey },
      );
      return acceptedAnswer({ request, services, tenant, accepted });
    },
  }),
];

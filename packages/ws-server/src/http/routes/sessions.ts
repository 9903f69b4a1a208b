import { OrchestratorError, type Session } from '@agent-orchestrator/core';
import {
  cutText,
  messagesQuery,
  pageQuery,
  sessionCreationSchema,
  sessionPatchSchema,
} from '@agent-orchestrator/core/protocol';
import { z } from 'zod';
import { followSession } from '../follow-answer.js';
import { present } from '../present.js';
import { json, replayed, type Route, route } from '../route.js';

const listQuerySchema = z.object({
  status: z.enum(['active', 'closed']).optional(),
  ...pageQuery,
});
const messagesQuerySchema = z.object(messagesQuery);

/** Sessions with their messages and events. */
export const sessionRoutes: readonly Route[] = [
  route({
    method: 'POST',
    path: '/v1/sessions',
    who: 'client',
    scope: 'chat',
    summary: 'Begin a session: 201, or 200 if the one that was named is there already.',
    body: sessionCreationSchema.nullish(),
    idempotent: true,
    async handle({ body, tenant, request, idempotencyKey }) {
      const wanted = present({ ...body });
      const made = await tenant.sessions.create(wanted, present({ idempotencyKey }));
      const { session, created, replayed: isReplay } = made;
      const location = `${request.prefix}/v1/sessions/${session.session_id}`;
      return withTag(created ? 201 : 200, session, session, {
        location,
        ...replayed(isReplay),
      });
    },
  }),
  route({
    method: 'GET',
    path: '/v1/sessions',
    who: 'client',
    scope: 'chat',
    summary: 'List sessions, newest first.',
    query: listQuerySchema,
    async handle({ query, tenant }) {
      return json(200, await tenant.sessions.list(present(query)));
    },
  }),
  route({
    method: 'GET',
    path: '/v1/sessions/{session_id}',
    who: 'client',
    scope: 'chat',
    summary: 'Show a session with its live tasks.',
    async handle({ params, tenant }) {
      const { session, ...state } = await tenant.sessions.get(params.session_id);
      // The same object, so that a large context stays text.
      return withTag(200, session, Object.assign(session, state));
    },
  }),
  route({
    method: 'PATCH',
    path: '/v1/sessions/{session_id}',
    who: 'client',
    scope: 'chat',
    summary: 'Change agent or context of a session, if it is still the one of "If-Match".',
    body: sessionPatchSchema,
    async handle({ params, body, tenant, request }) {
      const rev = revOf(request.headers['if-match']);
      const session = await tenant.sessions.update(params.session_id, present(body), present({ rev }));
      return withTag(200, session, session);
    },
  }),
  route({
    method: 'DELETE',
    path: '/v1/sessions/{session_id}',
    who: 'client',
    scope: 'chat',
    summary: 'Close a session; its live tasks are cancelled.',
    async handle({ params, tenant }) {
      const session = await tenant.sessions.close(params.session_id);
      return withTag(200, session, session);
    },
  }),
  route({
    method: 'GET',
    path: '/v1/sessions/{session_id}/messages',
    who: 'client',
    scope: 'chat',
    summary: 'The newest messages of a session, oldest first.',
    query: messagesQuerySchema,
    async handle({ params, query, tenant }) {
      return json(200, await tenant.sessions.messagePage(params.session_id, present(query)));
    },
  }),
  route({
    method: 'GET',
    path: '/v1/sessions/{session_id}/events',
    who: 'client',
    scope: 'chat',
    summary: 'Follow a session and its tasks (SSE); "Last-Event-ID" resumes.',
    takesTicket: true,
    handle: ({ params, ...follow }) => followSession(follow, params.session_id),
  }),
];

function withTag(
  status: number,
  session: Session,
  body: object,
  headers: Readonly<Record<string, string>> = {},
) {
  return json(status, body, { etag: `"${session.rev}"`, ...headers });
}

function revOf(ifMatch: string | undefined): number | undefined {
  if (ifMatch === undefined || ifMatch.trim() === '*') return undefined;
  const rev = /^\s*"(\d{1,15})"\s*$/.exec(ifMatch)?.[1];
  if (rev !== undefined) return Number(rev);
  const got = cutText(ifMatch, 100);
  throw new OrchestratorError('invalid_request', `if-match: expected "<rev>" in quotes or *, got ${got}`, {
    issues: [{ path: 'if-match', expected: '"<rev>" in quotes or *', got }],
  });
}

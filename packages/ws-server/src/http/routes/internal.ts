import { copyField, idSchema, jsonValueSchema, uuidSchema } from '@agent-orchestrator/core/protocol';
import { type ServiceIdentity } from '@agent-orchestrator/core/server';
import { z } from 'zod';
import type { ServiceCredential } from '../../auth/identities.js';
import { messageIdOf } from '../../sockets/message-id.js';
import { tenantOfService } from '../../auth/credentials.js';
import { present } from '../present.js';
import { retryAfter } from '../problem.js';
import { json, type Route, route } from '../route.js';

/** Wait of an early notification over HTTP, ms. */
const HOLD_MS = 10_000;

const gatewayBodySchema = z.object({
  input: jsonValueSchema.default({}),
  session_id: idSchema.nullish(),
  task_id: uuidSchema.nullish(),
  /** `connection_id` of the only socket to receive the outcome. */
  reply_to: z.string().min(1).max(200).nullish(),
});

/** For services: the gateway to other services, and notifications without a socket. */
export const internalRoutes: readonly Route[] = [
  route({
    method: 'POST',
    path: '/internal/v1/services/{service}/{operation}',
    who: 'service',
    summary: 'Ask another service: 200 with its result, or 202 with the id of a job whose outcome follows.',
    body: gatewayBodySchema,
    idempotent: true,
    async handle({ params, body, caller, request, services, idempotencyKey }) {
      const tenantId = tenantOfService(request.headers['x-tenant-id'], caller);
      const { service, operation } = params;
      const optional = present({
        session_id: body.session_id ?? undefined,
        task_id: body.task_id ?? undefined,
        reply_to: body.reply_to ?? undefined,
        idempotencyKey,
        traceparent: request.headers['traceparent'],
      });
      const asked = {
        from: asServiceIdentity(caller),
        tenant_id: tenantId,
        service,
        operation,
        input: body.input,
      };
      const signal = AbortSignal.any([request.signal, services.stopping]);
      const reply = await services.orchestrator.gateway.request({ ...asked, ...optional }, { signal });
      if (reply.answer === 'job') return json(202, { job_id: reply.job_id });
      const answer = { result: null };
      copyField(reply, answer, 'result');
      return json(200, answer);
    },
  }),
  route({
    method: 'GET',
    path: '/internal/v1/jobs/{job_id}',
    who: 'service',
    summary: 'How far a job is that this service asked for.',
    async handle({ params, caller, request, services }) {
      const tenantId = tenantOfService(request.headers['x-tenant-id'], caller);
      const asked = { from: asServiceIdentity(caller), tenant_id: tenantId, job_id: params.job_id };
      return json(200, await services.orchestrator.gateway.job(asked));
    },
  }),
  route({
    method: 'POST',
    path: '/internal/v1/notifications',
    who: 'service',
    summary: 'A notification without a socket; the answer is the ack.',
    body: jsonValueSchema,
    async handle({ body, caller, request, services }) {
      const signal = AbortSignal.any([request.signal, services.stopping]);
      const result = await services.orchestrator.intake.receive(body, asServiceIdentity(caller), {
        holdMs: HOLD_MS,
        signal,
      });
      const messageId = messageIdOf(body);
      const ack = { event: 'ack', ...(messageId !== undefined && { message_id: messageId }), ...result };
      if (result.outcome !== 'retry_later') return json(200, ack);
      return json(503, ack, retryAfter(503, result.retry_after_ms));
    },
  }),
];

function asServiceIdentity({ service, tenants }: ServiceCredential): ServiceIdentity {
  return { service, ...(tenants && { tenants }) };
}

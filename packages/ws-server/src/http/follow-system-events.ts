import { OrchestratorError } from '@agent-orchestrator/core';
import type { Admin } from '@agent-orchestrator/core/server';
import { CredentialCheck } from '../auth/credential-check.js';
import type { ShownCredential } from '../auth/tickets.js';
import { CLOSE } from '../sockets/close-codes.js';
import { EventStream } from './event-stream.js';
import type { NeutralAnswer, NeutralRequest } from './neutral-request.js';
import type { RouteServices } from './route.js';
import { sseAnswer } from './sse.js';

interface Follow {
  readonly request: NeutralRequest;
  readonly services: RouteServices;
  readonly admin: Admin;
  readonly credential: ShownCredential;
}

/**
 * System events as a stream, until the reader disconnects: recent ones, then new ones. It has the heartbeats and the limits of a
 * slow reader of every stream; the operator token is rechecked at heartbeats.
 */
export function followSystemEvents({ request, services, admin, credential }: Follow): NeutralAnswer {
  const leave = services.admission.connectOperator();
  if (!leave)
    throw new OrchestratorError('rate_limited', 'the operators have reached their maximum of open streams');
  const over = new AbortController();
  const gone = AbortSignal.any([request.signal, services.stopping]);
  const end = () => stream.end();
  const stream = new EventStream({
    heartbeatMs: services.heartbeatMs,
    clock: services.clock,
    sendsState: false,
    isLast: () => false,
    beat: () => check.beat(),
    ended: () => {
      gone.removeEventListener('abort', end);
      over.abort();
      leave();
    },
  });
  const check = new CredentialCheck({
    authenticator: services.authenticator,
    token: credential.token,
    ids: { stream: 'system-events' },
    accept: (identity) => identity.kind === 'operator',
    close: (code, reason) =>
      stream.fail(
        new OrchestratorError(code === CLOSE.unauthorized ? 'unauthorized' : 'service_unavailable', reason),
      ),
  });
  gone.addEventListener('abort', end, { once: true });
  if (gone.aborted) end();
  else void pump(stream, admin, over.signal);
  return sseAnswer(stream);
}

async function pump(stream: EventStream, admin: Admin, signal: AbortSignal): Promise<void> {
  try {
    for await (const event of admin.systemEvents({ signal })) {
      await stream.room();
      stream.message('system_event', event);
    }
  } catch (error) {
    stream.fail(error);
  }
}

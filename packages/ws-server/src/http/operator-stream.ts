import { OrchestratorError } from '@agent-orchestrator/core';
import { CredentialCheck } from '../auth/credential-check.js';
import type { ShownCredential } from '../auth/tickets.js';
import { CLOSE } from '../sockets/close-codes.js';
import { EventStream } from './event-stream.js';
import type { NeutralAnswer, NeutralRequest } from './neutral-request.js';
import type { RouteServices } from './route.js';
import { sseAnswer } from './sse.js';

interface OperatorStream {
  readonly request: NeutralRequest;
  readonly services: RouteServices;
  readonly credential: ShownCredential;
  /** Name in the logs. */
  readonly stream: string;
  /** Sends messages until `signal` fires. An error ends the stream. */
  readonly pump: (stream: EventStream, signal: AbortSignal) => Promise<void>;
}

/**
 * A stream for operators, until the reader disconnects. It has the heartbeats and the limits of a slow reader of every stream; the
 * operator token is rechecked at heartbeats.
 */
export function operatorStream({
  request,
  services,
  credential,
  stream: name,
  pump,
}: OperatorStream): NeutralAnswer {
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
    ids: { stream: name },
    accept: (identity) => identity.kind === 'operator',
    close: (code, reason) =>
      stream.fail(
        new OrchestratorError(code === CLOSE.unauthorized ? 'unauthorized' : 'service_unavailable', reason),
      ),
  });
  gone.addEventListener('abort', end, { once: true });
  if (gone.aborted) end();
  else void pump(stream, over.signal).catch((error: unknown) => stream.fail(error));
  return sseAnswer(stream);
}

import { type JsonValue, OrchestratorError } from '@agent-orchestrator/core';
import type { AuthenticatedClient } from '../auth/authenticator.js';
import { refuseWithoutScope } from '../auth/scopes.js';

/**
 * A body of `/v1/tasks` or `/v1/chat`, or a request of a batch, as a caller may submit it: a plan names the services to
 * call and takes the scope `plans`, and a key with a user submits for that user alone.
 *
 * @throws {OrchestratorError} `forbidden`
 */
export function submittedBy<T extends object>(caller: AuthenticatedClient, body: T): T {
  if (bringsPlan(body)) refuseWithoutScope(caller, ['plans']);
  return ofUser(caller, body);
}

/** A batch likewise. A request of `/v1/chat` also takes the scope of that route; an invalid one is left to fail alone. */
export function batchSubmittedBy<T extends { readonly requests: readonly JsonValue[] }>(
  caller: AuthenticatedClient,
  batch: T,
): T {
  const requests = batch.requests.map((request) => {
    if (!isObject(request)) return request;
    if ('message' in request && !('type' in request)) refuseWithoutScope(caller, ['chat']);
    return submittedBy(caller, request);
  });
  return caller.userId === undefined ? batch : { ...batch, requests };
}

function ofUser<T extends object>({ userId }: AuthenticatedClient, body: T): T {
  if (userId === undefined) return body;
  const { metadata = null } = body as { readonly metadata?: unknown };
  if (metadata !== null && !isObject(metadata)) return body;
  const { user_id: said = null } = metadata ?? {};
  if (said === null) return { ...body, metadata: { ...metadata, user_id: userId } };
  if (typeof said !== 'string' || said.toWellFormed() === userId) return body;
  throw new OrchestratorError(
    'forbidden',
    'metadata.user_id: expected the user of the API key or none, got another',
  );
}

function bringsPlan(submission: object): boolean {
  const { type, payload } = submission as { readonly type?: unknown; readonly payload?: unknown };
  return (
    type === 'workflow' && isObject(payload) && payload['plan'] !== undefined && payload['plan'] !== null
  );
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

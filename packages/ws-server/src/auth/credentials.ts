import { OrchestratorError } from '@agent-orchestrator/core';
import { idSchema, validate } from '@agent-orchestrator/core/protocol';
import type { Authenticator, CheckIds, KnownIdentity } from './authenticator.js';
import type { ShownCredential, Tickets } from './tickets.js';
import type { Identity, ServiceCredential } from './identities.js';

const BEARER = /^Bearer +(\S{1,8192}) *$/i;
const NAMES: Readonly<Record<Identity['kind'], string>> = {
  client: 'an API key',
  service: 'a service token',
  operator: 'the operator token',
};

/** Token of an `Authorization: Bearer` header. */
export function bearerToken(header: string | undefined): string | undefined {
  return header === undefined ? undefined : BEARER.exec(header)?.[1];
}

/**
 * Credential of a request: the token of its header, or a ticket, which is used up.
 *
 * @throws {OrchestratorError} `unauthorized` for an unknown ticket.
 */
export async function shownCredential(
  tickets: Pick<Tickets, 'spend'>,
  authorization: string | undefined,
  ticket: string | null,
): Promise<ShownCredential | undefined> {
  const token = bearerToken(authorization);
  if (token !== undefined) return { token };
  if (ticket === null) return undefined;
  const credential = await tickets.spend(ticket);
  if (credential) return credential;
  throw new OrchestratorError(
    'unauthorized',
    'the ticket is not known: expected one from POST /v1/tickets, unused and not older than 30 seconds',
  );
}

/**
 * The identity within the limits of its credential; `undefined` when a ticket belongs to another tenant or user. A
 * ticket has no scope that its key did not have.
 */
export function withinTicket(
  { ticket }: ShownCredential,
  identity: KnownIdentity,
): KnownIdentity | undefined {
  if (!ticket) return identity;
  if (identity.kind !== 'client' || identity.tenant !== ticket.tenant) return undefined;
  const { rights } = ticket;
  if (!rights) return identity;
  if (identity.userId !== rights.userId) return undefined;
  return { ...identity, scopes: new Set(rights.scopes.filter((scope) => identity.scopes.has(scope))) };
}

/**
 * Identity of the caller, if it has the kind that the route requires.
 *
 * @throws {OrchestratorError} `unauthorized` without a token or for an unknown one, `forbidden` for another
 *   kind, or the error of the host's identities, such as `service_unavailable`.
 */
export async function identify<K extends Identity['kind']>(
  authenticator: Authenticator,
  {
    credential,
    kind,
    ids,
  }: { readonly credential: ShownCredential | undefined; readonly kind: K; readonly ids: CheckIds },
): Promise<Extract<KnownIdentity, { readonly kind: K }>> {
  if (credential === undefined) {
    throw new OrchestratorError(
      'unauthorized',
      `expected "Authorization: Bearer" with ${NAMES[kind]}, got none`,
    );
  }
  const result = await authenticator.authenticate(credential.token, ids);
  if (result.answer !== 'identified') throw result.error;
  const identity = withinTicket(credential, result.identity);
  if (!identity) throw new OrchestratorError('unauthorized', 'the ticket belongs to another tenant or user');
  if (identity.kind !== kind) {
    throw new OrchestratorError('forbidden', `expected ${NAMES[kind]}, got ${NAMES[identity.kind]}`);
  }
  return identity as Extract<KnownIdentity, { readonly kind: K }>;
}

/**
 * Tenant of a service's request, from `X-Tenant-Id`.
 *
 * @throws {OrchestratorError} `invalid_request` without the header, `forbidden` outside the token's scope.
 */
export function tenantOfService(header: string | undefined, caller: ServiceCredential): string {
  const tenantId = validate(idSchema, header, 'x-tenant-id');
  if (caller.tenants && !caller.tenants.has(tenantId)) {
    throw new OrchestratorError('forbidden', 'the tenant is outside the scope of the service token');
  }
  return tenantId;
}

/** `WWW-Authenticate` challenge of a 401. */
export function challenge(hadToken: boolean): Record<string, string> {
  const problem = hadToken ? ', error="invalid_token"' : '';
  return { 'www-authenticate': `Bearer realm="agent-orchestrator"${problem}` };
}

import { OrchestratorError } from '@agent-orchestrator/core';
import type { Authenticator, KnownIdentity } from '../auth/authenticator.js';
import { bearerToken, identify, shownCredential } from '../auth/credentials.js';
import { refuseWithoutScope } from '../auth/scopes.js';
import type { ShownCredential } from '../auth/tickets.js';
import type { CoveredBy } from '../rates/rate-state.js';
import type { RequestRates } from '../rates/request-rates.js';
import { addressOf } from '../sockets/client-address.js';
import type { NeutralRequest } from './neutral-request.js';
import type { AnyRouteContext, Caller, Route, RouteServices } from './route.js';
import { splitPath } from './split-path.js';

interface CallerParts {
  readonly authenticator: Authenticator;
  readonly services: RouteServices;
  readonly rates: RequestRates;
}

interface Called {
  readonly route: Route;
  readonly request: NeutralRequest;
  /** `undefined`: not known. */
  readonly address: string | undefined;
  readonly correlationId: string;
  readonly covered: CoveredBy;
}

/**
 * The caller, with its rights on the route and within the limits of its requests: all of it before the body is read.
 *
 * @throws {OrchestratorError} `unauthorized`, `forbidden`, `rate_limited`, or why the caller cannot be checked now.
 */
export async function callerOf(
  parts: CallerParts,
  called: Called,
): Promise<Pick<AnyRouteContext, 'credential' | 'caller' | 'tenant' | 'admin'>> {
  const { route, covered } = called;
  if (route.who === 'public') return { credential: { token: '' } };
  const { credential, caller } = await loggedIn(parts, called, route.who);
  const { orchestrator } = parts.services;
  if (caller.kind === 'client') {
    await parts.rates.ofClient(caller.tenant, credential.token, covered);
    refuseWithoutScope(caller, route.scopes);
    return { credential, caller, tenant: orchestrator.tenant(caller.tenant) };
  }
  refuseReader(caller, route);
  return { credential, caller, ...(caller.kind === 'operator' && { admin: orchestrator.admin }) };
}

async function loggedIn(
  { authenticator, services, rates }: CallerParts,
  { route, request, address, correlationId, covered }: Called,
  kind: Exclude<keyof Caller, 'public'>,
): Promise<{ readonly credential: ShownCredential; readonly caller: KnownIdentity }> {
  const { authorization } = request.headers;
  const ticket = route.takesTicket ? new URLSearchParams(splitPath(request.path)[1]).get('ticket') : null;
  const ids = { correlation_id: correlationId };
  return rates.login({ address, token: bearerToken(authorization), ticket, covered }, async () => {
    const credential = await shownCredential(services.tickets, authorization, ticket);
    const caller = await identify(authenticator, { credential, kind, ids });
    return { credential: credential ?? { token: '' }, caller };
  });
}

/** @throws {OrchestratorError} `forbidden` when an operator that may only read asks for a change. */
function refuseReader(caller: KnownIdentity, { method }: Route): void {
  if (caller.kind !== 'operator' || caller.readOnly !== true || method === 'GET') return;
  const message = 'expected an operator token that may change things, got one that may only read';
  throw new OrchestratorError('forbidden', message);
}

/** Address that a request is counted for; `undefined` if the adapter does not know it. */
export function addressOfCaller(
  { remoteAddress: remote = '', headers }: NeutralRequest,
  trustedProxies: number,
): string | undefined {
  const address = addressOf({ remote, forwardedFor: headers['x-forwarded-for'] ?? '' }, trustedProxies);
  return address === '' ? undefined : address;
}

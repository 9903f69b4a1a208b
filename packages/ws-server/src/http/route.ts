import { type Clock, type Orchestrator, type TenantHandle } from '@agent-orchestrator/core';
import type { Admin } from '@agent-orchestrator/core/server';
import { writeJson } from '@agent-orchestrator/core/protocol';
import type { z } from 'zod';
import type { AuthenticatedClient, Authenticator, KnownIdentity } from '../auth/authenticator.js';
import type { FeedDirectory } from '../client-socket/feed-directory.js';
import type { Admission } from '../sockets/admission.js';
import type { OperatorIdentity, ServiceCredential } from '../auth/identities.js';
import type { Scope } from '@agent-orchestrator/core/protocol';
import type { ShownCredential, Tickets } from '../auth/tickets.js';
import type { OverviewSampler } from '../metrics/overview-sampler.js';
import type { ServiceBoard } from '../metrics/service-board.js';
import type { NeutralAnswer, NeutralRequest } from './neutral-request.js';
import type { PathParams, ValidPath } from './path-params.js';

/** Services available to route handlers. */
export interface RouteServices {
  readonly orchestrator: Orchestrator;
  readonly tickets: Tickets;
  readonly authenticator: Authenticator;
  readonly admission: Admission;
  readonly feeds: FeedDirectory;
  readonly metrics: { readonly contentType: string; text(): Promise<string> };
  readonly board: ServiceBoard;
  readonly overview: OverviewSampler;
  readonly clock: Clock;
  /** Interval of heartbeats in an event stream, ms. */
  readonly heartbeatMs: number;
  /** Aborts at shutdown: every wait has to end. */
  readonly stopping: AbortSignal;
}

/** Required caller of a route: anyone, a client with its API key, a service or an operator with its token. */
export interface Caller {
  readonly public: undefined;
  readonly client: AuthenticatedClient;
  readonly service: ServiceCredential;
  readonly operator: OperatorIdentity;
}

interface BaseContext<P, B, Q> {
  readonly request: NeutralRequest;
  /** Validated by their names. */
  readonly params: P;
  readonly body: B;
  readonly query: Q;
  /** Value of the `Idempotency-Key` header. */
  readonly idempotencyKey?: string;
  readonly services: RouteServices;
  /** The credential as sent; empty on a public route. */
  readonly credential: ShownCredential;
}

/** Context of a handler by required caller: a client comes with its tenant, an operator with its access to all. */
type RouteContext<W extends keyof Caller, P, B, Q> = BaseContext<P, B, Q> &
  (W extends 'client'
    ? { readonly caller: AuthenticatedClient; readonly tenant: TenantHandle }
    : W extends 'service'
      ? { readonly caller: ServiceCredential }
      : W extends 'operator'
        ? { readonly caller: OperatorIdentity; readonly admin: Admin }
        : object);

/** Scope that a route of clients requires: one, or any of several. Other callers have none. */
type RequiredScope<W extends keyof Caller> = W extends 'client'
  ? { readonly scope: Scope | readonly [Scope, Scope, ...Scope[]] }
  : { readonly scope?: never };

export interface RouteDefinition<
  P extends string,
  W extends keyof Caller,
  B extends z.ZodType,
  Q extends z.ZodType,
> {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** `/v1/tasks/{task_id}`: each part in braces is a parameter of the handler, validated by its name. */
  readonly path: P & ValidPath<P>;
  readonly who: W;
  readonly summary: string;
  /** Absent: the body is ignored. */
  readonly body?: B;
  readonly query?: Q;
  /** Whether it accepts an `Idempotency-Key`. */
  readonly idempotent?: boolean;
  /** Whether `?ticket=` replaces the header: browsers cannot set one on an event stream. */
  readonly takesTicket?: boolean;
  handle(
    context: RouteContext<W, PathParams<P>, z.output<B>, z.output<Q>>,
  ): Promise<NeutralAnswer> | NeutralAnswer;
}

/** Entry of the route table, from which the API description is generated too. */
export interface Route {
  readonly method: string;
  readonly path: string;
  readonly who: keyof Caller;
  /** Scopes of which a client needs one. Empty for other callers. */
  readonly scopes: readonly Scope[];
  readonly summary: string;
  readonly body?: z.ZodType;
  readonly query?: z.ZodType;
  readonly idempotent: boolean;
  readonly takesTicket: boolean;
  handle(context: AnyRouteContext): Promise<NeutralAnswer> | NeutralAnswer;
}

/** A context with validated body and query. */
export type AnyRouteContext = BaseContext<Readonly<Record<string, string>>, unknown, unknown> & {
  readonly caller?: KnownIdentity;
  readonly tenant?: TenantHandle;
  readonly admin?: Admin;
};

/** Keeps parameters, body, query and caller typed inside the handler; outside all routes have one type. */
export function route<
  const P extends string,
  W extends keyof Caller,
  B extends z.ZodType,
  Q extends z.ZodType,
>(definition: RouteDefinition<P, W, B, Q> & RequiredScope<W>): Route {
  const { scope = [] }: { readonly scope?: Scope | readonly Scope[] } = definition;
  return {
    ...(definition as RouteDefinition<P, W, B, Q>),
    scopes: [scope].flat(),
    idempotent: definition.idempotent ?? false,
    takesTicket: definition.takesTicket ?? false,
    handle: (context) =>
      definition.handle(context as RouteContext<W, PathParams<P>, z.output<B>, z.output<Q>>),
  };
}

/** A response with a JSON body. */
export function json(
  status: number,
  body: object,
  headers: Readonly<Record<string, string>> = {},
): NeutralAnswer {
  return { status, headers: { 'content-type': 'application/json', ...headers }, body: writeJson(body) };
}

/** `Idempotency-Replayed: true` for a repeated answer. */
export function replayed(isReplay: boolean): Record<string, string> {
  return isReplay ? { 'idempotency-replayed': 'true' } : {};
}

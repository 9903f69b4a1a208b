import { OrchestratorError, type Logger } from '@agent-orchestrator/core';
import { newToken, validate } from '@agent-orchestrator/core/protocol';
import { activeTraceparent, startSpan, validateOwned } from '@agent-orchestrator/core/server';
import { z } from 'zod';
import type { Authenticator } from '../auth/authenticator.js';
import { describeThrown } from '../auth/describe-thrown.js';
import { type Reading, readJsonBody } from './body.js';
import { challenge } from '../auth/credentials.js';
import { addressOfCaller, callerOf } from './caller.js';
import { CoveredBy } from '../rates/rate-state.js';
import type { RequestRates } from '../rates/request-rates.js';
import type { LargeBodies } from './large-bodies.js';
import type { NeutralAnswer, NeutralHandler, NeutralRequest } from './neutral-request.js';
import { HttpRefusal, problemAnswer, unexpected } from './problem.js';
import type { AnyRouteContext, Route, RouteServices } from './route.js';
import type { RouteLabel } from '../metrics/route-label.js';
import type { Router } from './router.js';
import { splitPath } from './split-path.js';

export interface HandlerParts {
  readonly router: Router;
  readonly authenticator: Authenticator;
  readonly services: RouteServices;
  readonly logger: Logger;
  readonly largeBodies: LargeBodies;
  readonly rates: RequestRates;
  readonly trustedProxies: number;
  /** Called after each response with route, status and duration in seconds. */
  answered(label: RouteLabel, status: number, seconds: number): void;
}

/** Responses are not cached, sniffed, framed, or sent as referrer. */
const SECURITY_HEADERS = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
} as const;

const idempotencyKeySchema = z
  .string()
  .regex(/^[\x21-\x7e]{1,200}$/, 'expected 1 to 200 visible ASCII characters');

/** Routes that monitoring asks all the time. */
const POLLED: ReadonlySet<string> = new Set(['/health/live', '/health/ready', '/metrics']);

/** A request, besides what it says itself. */
interface About {
  readonly correlationId: string;
  /** Limits so far. */
  readonly covered: CoveredBy;
  /** Once the caller is known. */
  tenantId?: string | undefined;
}

/** Single entry point of all requests, independent of the framework. */
export function createHandler(parts: HandlerParts): NeutralHandler {
  return async (request) => {
    const correlationId = newToken();
    const { clock } = parts.services;
    const began = clock.monotonic();
    const about: About = { correlationId, covered: new CoveredBy() };
    const label = parts.router.label(request.method, splitPath(request.path)[0]);
    const answer = await traced(label, request, () => answerOrProblem(parts, request, about));
    const ms = clock.monotonic() - began;
    parts.answered(label, answer.status, ms / 1_000);
    const ids = { correlation_id: correlationId, tenant_id: about.tenantId };
    const line = { ...label, status: answer.status, duration_ms: Math.round(ms), ...ids };
    if (POLLED.has(label.route)) parts.logger.debug('request', line);
    else parts.logger.info('request', line);
    const headers = {
      ...SECURITY_HEADERS,
      ...about.covered.fields(),
      ...answer.headers,
      ...(typeof answer.body === 'string' && { 'content-length': String(Buffer.byteLength(answer.body)) }),
      'x-correlation-id': correlationId,
    };
    if (request.method !== 'HEAD') return { ...answer, headers };
    await discard(answer.body);
    return { status: answer.status, headers };
  };
}

/** A server span: child of the active one, which the host's instrumentation may have made, else of the caller's `traceparent`. */
async function traced(
  { method, route }: RouteLabel,
  { headers }: NeutralRequest,
  work: () => Promise<NeutralAnswer>,
): Promise<NeutralAnswer> {
  if (POLLED.has(route)) return work();
  const parent = activeTraceparent() ?? headers['traceparent'];
  const attributes = () => ({ 'http.request.method': method, 'http.route': route });
  const span = startSpan({ name: `${method} ${route}`, kind: 'server', parent, attributes });
  if (!span) return work();
  const answer = await span.run(work);
  span.set({ 'http.response.status_code': answer.status });
  span.end(answer.status >= 500 ? { code: String(answer.status) } : undefined);
  return answer;
}

/** HEAD is handled as GET without the body (RFC 9110, 9.3.2): a stream is ended before it begins. */
async function discard(body: NeutralAnswer['body']): Promise<void> {
  if (typeof body === 'object') await body[Symbol.asyncIterator]().return?.();
}

async function answerOrProblem(
  parts: HandlerParts,
  request: NeutralRequest,
  about: About,
): Promise<NeutralAnswer> {
  const { correlationId } = about;
  try {
    if (parts.services.stopping.aborted) throw shuttingDown();
    return await dispatch(parts, request, about);
  } catch (error) {
    const known = asKnown(error, request.signal, parts.services.stopping);
    if (known.code === 'internal_error') {
      parts.logger.error('a request failed inside', {
        correlation_id: correlationId,
        method: request.method,
        error: describeThrown(error),
      });
    }
    const hadToken = request.headers['authorization'] !== undefined;
    const headers = known.code === 'unauthorized' ? challenge(hadToken) : {};
    return problemAnswer(known.code === 'internal_error' ? unexpected() : known, { correlationId, headers });
  }
}

/** A request cut short by the caller or by the shutdown is not an internal error. */
function asKnown(error: unknown, gone: AbortSignal, stopping: AbortSignal): OrchestratorError {
  if (error instanceof OrchestratorError) return error;
  if (gone.aborted && error === gone.reason)
    return new OrchestratorError('cancelled', 'the caller has disconnected');
  return stopping.aborted ? shuttingDown() : unexpected();
}

function shuttingDown(): OrchestratorError {
  return new OrchestratorError('not_running', 'the server is shutting down', { retryAfterMs: 1_000 });
}

async function dispatch(parts: HandlerParts, request: NeutralRequest, about: About): Promise<NeutralAnswer> {
  const [path, query] = splitPath(request.path);
  const address = addressOfCaller(request, parts.trustedProxies);
  if (!parts.router.isPublic(path)) parts.rates.ofAddress(address, about.covered);
  const match = parts.router.match(request.method, path);
  if (match.found === 'nothing') throw new OrchestratorError('not_found', 'no such route');
  if (match.found === 'path') {
    const message = `expected the method ${match.allow}, got another`;
    throw new HttpRefusal(405, message, { headers: { allow: match.allow } });
  }
  const { route, params } = match;
  const caller = await callerOf(parts, { route, request, address, ...about });
  about.tenantId = caller.tenant?.tenantId;
  const reading = { share: shareOf(caller), largeBodies: parts.largeBodies };
  const body = await bodyOf(route, request, reading);
  const idempotencyKey = idempotencyKeyOf(route, request);
  const context: AnyRouteContext = {
    request,
    params,
    ...caller,
    body,
    query: route.query ? validate(route.query, fieldsOf(query), 'the query') : {},
    ...(idempotencyKey !== undefined && { idempotencyKey }),
    services: parts.services,
  };
  return route.handle(context);
}

/** Owner charged for a large body. */
function shareOf({ tenant, caller }: Pick<AnyRouteContext, 'tenant' | 'caller'>): string {
  if (tenant) return tenant.tenantId;
  return caller?.kind === 'service' ? `service ${caller.service}` : (caller?.kind ?? '');
}

async function bodyOf(route: Route, request: NeutralRequest, reading: Reading): Promise<unknown> {
  if (!route.body) return undefined;
  const body = await readJsonBody(request, reading);
  return validateOwned(route.body, body, 'the body');
}

function idempotencyKeyOf(route: Route, request: NeutralRequest): string | undefined {
  const key = request.headers['idempotency-key'];
  if (!route.idempotent || key === undefined) return undefined;
  return validate(idempotencyKeySchema, key, 'idempotency-key');
}

function fieldsOf(query: string): Record<string, string> {
  const fields: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const [name, value] of new URLSearchParams(query)) fields[name] = value;
  return fields;
}

import { type Clock, type Logger, OrchestratorError } from '@agent-orchestrator/core';
import { ERROR_CODES, isErrorCode } from '@agent-orchestrator/core/protocol';
import { atMost } from '@agent-orchestrator/core/server';
import { idSchema, type Scope, userIdSchema } from '@agent-orchestrator/core/protocol';
import type { ClientIdentity, Identities, OperatorIdentity, ServiceCredential } from './identities.js';
import { effectiveScopes } from './scopes.js';
import { describeThrown } from './describe-thrown.js';

/** A client with the rights that it has. */
export interface AuthenticatedClient extends ClientIdentity {
  readonly scopes: ReadonlySet<Scope>;
}

/** An identity whose fields were checked. */
export type KnownIdentity = AuthenticatedClient | ServiceCredential | OperatorIdentity;

/** Result of authenticating a token. */
export type Authentication =
  | { readonly answer: 'identified'; readonly identity: KnownIdentity }
  /** Unknown or revoked token; `error` is safe to show to the caller. */
  | { readonly answer: 'refused'; readonly error: OrchestratorError }
  /** The check failed for now; `error` is safe to show to the caller. */
  | { readonly answer: 'unavailable'; readonly error: OrchestratorError };

export interface AuthenticatorParts {
  readonly identities: Identities;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Limit of one check, ms. */
  readonly timeoutMs: number;
}

/** Ids for the log entry of a failed check: of the request or the connection. */
export type CheckIds = Readonly<Record<string, string>>;

/**
 * Only caller of the host's `Identities`. Always answers and never rejects, whatever the host's code does:
 * throw, reject, hang, or return something that is not an identity. Messages of foreign errors are logged,
 * never sent to the caller.
 */
export class Authenticator {
  readonly #parts: AuthenticatorParts;
  /** Invalid identities already logged: each is logged once, since every request may bring it again. */
  readonly #reported = new Set<string>();

  constructor(parts: AuthenticatorParts) {
    this.#parts = parts;
  }

  /** @param unknown error message for an unknown token. */
  async authenticate(
    token: string,
    ids: CheckIds,
    unknown = 'the token is not known',
  ): Promise<Authentication> {
    const refused = { answer: 'refused', error: new OrchestratorError('unauthorized', unknown) } as const;
    try {
      const returned = await this.#ask(token);
      if (returned === undefined) return refused;
      const read = readIdentity(returned);
      if (typeof read !== 'string') return { answer: 'identified', identity: read };
      this.#reportOnce(read, ids);
      return refused;
    } catch (error) {
      return this.#failed(error, token, ids) ?? refused;
    }
  }

  async #ask(token: string): Promise<unknown> {
    const answer: unknown = this.#parts.identities.authenticate(token);
    if (typeof answer !== 'object' || answer === null || !('then' in answer)) return answer;
    const checked = Promise.resolve(answer);
    const either = checked.then(
      () => undefined,
      () => undefined,
    );
    const { clock, timeoutMs } = this.#parts;
    if (await atMost(clock, timeoutMs, either)) return checked;
    throw new OrchestratorError('service_unavailable', 'the credential could not be checked in time');
  }

  /** `undefined` for a foreign error. */
  #failed(thrown: unknown, token: string, ids: CheckIds): Authentication | undefined {
    const { logger } = this.#parts;
    const said = withoutToken(describeThrown(thrown), token);
    const error = asOurs(thrown);
    if (!error) {
      logger.warn('authenticate() failed: the caller counts as not authenticated', { ...ids, error: said });
      return undefined;
    }
    if (!error.retryable && ERROR_CODES[error.code].status !== 503) return { answer: 'refused', error };
    logger.error('a credential could not be checked', { ...ids, code: error.code, error: said });
    return { answer: 'unavailable', error };
  }

  #reportOnce(problem: string, ids: CheckIds): void {
    if (this.#reported.has(problem)) return;
    this.#reported.add(problem);
    this.#parts.logger.error(`authenticate() returned no identity: ${problem}`, ids);
  }
}

/** A shorter prefix of a token reveals nothing. */
const LEAST_OF_TOKEN = 4;

/** Removes the token from a text, also where the text was cut inside the token and ends with its prefix. */
function withoutToken(text: string, token: string): string {
  const whole = text.replaceAll(token, '[token]');
  for (let length = token.length - 1; length >= LEAST_OF_TOKEN; length -= 1)
    if (whole.endsWith(token.slice(0, length))) return `${whole.slice(0, -length)}[token]`;
  return whole;
}

/** The public part of an `OrchestratorError`. A host may throw a proxy whose accessors throw. */
function asOurs(thrown: unknown): OrchestratorError | undefined {
  try {
    if (!(thrown instanceof OrchestratorError) || !isErrorCode(thrown.code)) return undefined;
    // In JavaScript a subclass may hold anything in these fields.
    const { message, retryable, retryAfterMs } = thrown as Readonly<
      Record<'message' | 'retryable' | 'retryAfterMs', unknown>
    >;
    const { code } = thrown;
    const text = code === 'internal_error' ? ERROR_CODES.internal_error.title : String(message);
    return new OrchestratorError(code, text, {
      retryable: retryable === true,
      ...(typeof retryAfterMs === 'number' && { retryAfterMs }),
    });
  } catch {
    return undefined;
  }
}

/** A fresh identity with the known fields only, or what is wrong with the value. */
function readIdentity(value: unknown): KnownIdentity | string {
  if (value === null) return 'expected undefined for an unknown token, got null';
  if (typeof value !== 'object') return `expected an object, got a ${typeof value}`;
  const { kind, service, tenants, readOnly } = value as Readonly<Record<string, unknown>>;
  // Anything but the absence of a limit is one.
  if (kind === 'operator') return isUnset(readOnly) ? { kind } : { kind, readOnly: true };
  if (kind === 'client') return readClient(value);
  if (kind !== 'service') return 'kind: expected "client", "service" or "operator"';
  if (!isId(service)) return 'the service of a token is no valid id';
  if (tenants === undefined || tenants === null) return { kind, service };
  const set = setOf(tenants);
  return set ? { kind, service, tenants: set } : 'tenants: expected a Set';
}

function readClient(value: object): AuthenticatedClient | string {
  const { tenant, scopes, userId } = value as Readonly<Record<string, unknown>>;
  if (!isId(tenant)) return 'the tenant of a client is no valid id';
  const set = scopes === undefined || scopes === null ? undefined : setOf(scopes);
  if (set === undefined && scopes !== undefined && scopes !== null) return 'scopes: expected a Set';
  const client = { kind: 'client', tenant, scopes: effectiveScopes(set) } as const;
  if (userId === undefined || userId === null) return client;
  const user = userIdSchema.safeParse(userId);
  return user.success
    ? { ...client, userId: user.data }
    : 'userId: expected 1 to 200 characters, none of them control characters';
}

function isUnset(flag: unknown): boolean {
  return flag === undefined || flag === null || flag === false;
}

function isId(value: unknown): value is string {
  return idSchema.safeParse(value).success;
}

/** A set that is read without running the host's code. A genuine one is not copied: it may be large. */
function setOf(value: unknown): ReadonlySet<string> | undefined {
  if (value instanceof Set && Object.getPrototypeOf(value) === Set.prototype && !Object.hasOwn(value, 'has'))
    return value as ReadonlySet<string>;
  return value instanceof Set || Array.isArray(value) ? new Set(value as Iterable<string>) : undefined;
}

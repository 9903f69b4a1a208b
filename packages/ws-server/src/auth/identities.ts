import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { OrchestratorError } from '@agent-orchestrator/core';
import {
  describe,
  idSchema,
  isScope,
  type Scope,
  SCOPES,
  userIdSchema,
  validate,
} from '@agent-orchestrator/core/protocol';

/** A client of one tenant, authenticated by an API key. */
export interface ClientIdentity {
  readonly kind: 'client';
  readonly tenant: string;
  /**
   * Rights. Default: all. A set without `chat`, `tasks`, `manage` and `admin`, such as one of `plans` alone, also has
   * `chat` and `tasks`.
   */
  readonly scopes?: ReadonlySet<Scope>;
  /**
   * The user it acts for, 1 to 200 characters: `metadata.user_id` of everything it submits. Default: any, as each
   * submission says.
   */
  readonly userId?: string;
}

/** A service, authenticated by a service token. Without `tenants` it may act for all of them. */
export interface ServiceCredential {
  readonly kind: 'service';
  readonly service: string;
  readonly tenants?: ReadonlySet<string>;
}

/** An operator of the installation. */
export interface OperatorIdentity {
  readonly kind: 'operator';
  /** Sees everything, and changes nothing. Default: `false`. */
  readonly readOnly?: boolean;
}

/** What a token stands for: a client, a service, or an operator. */
export type Identity = ClientIdentity | ServiceCredential | OperatorIdentity;

/** Maps tokens to identities. Implement it for a host with accounts of its own. */
export interface Identities {
  /**
   * Identity of a token; `undefined` for an unknown or revoked one. Called for every request and hello, and
   * again at each heartbeat of an open socket.
   *
   * A thrown error, a rejection, or a value that is not an identity counts as unauthenticated. An
   * `OrchestratorError` is answered as is; a retryable one, such as `service_unavailable`, means that the
   * token cannot be checked now: 503, close code 1013, and open sockets stay open for three heartbeats in a
   * row. So does a promise pending for longer than `authenticateTimeoutMs`.
   */
  authenticate(token: string): Identity | undefined | Promise<Identity | undefined>;
}

/** Credentials of `createIdentities`, listed. */
export interface IdentityList {
  /** `scopes` and `userId` as in `ClientIdentity`. */
  readonly apiKeys?: readonly {
    readonly key: string;
    readonly tenant: string;
    readonly scopes?: readonly Scope[];
    readonly userId?: string;
  }[];
  /**
   * At most two tokens for each service, so that one can be rotated while the other works. `tenants` default:
   * all.
   */
  readonly serviceTokens?: readonly {
    readonly service: string;
    readonly token: string;
    readonly tenants?: readonly string[];
  }[];
  /** Token of operators, who see and change everything. */
  readonly operatorToken?: string;
  /** Token of operators who only see everything. */
  readonly operatorReadToken?: string;
}

const LIVE_TOKENS_PER_SERVICE = 2;
/** Format of a bearer token: visible ASCII, so that it survives a header. */
const TOKEN = /^[\x21-\x7e]{1,8192}$/;

/** Identities from a list. `replace` installs another list: removed credentials are cut off. */
export interface ListedIdentities extends Identities {
  authenticate(token: string): Identity | undefined;
  replace(list: IdentityList): void;
}

interface Entry {
  readonly digest: Buffer;
  readonly identity: Identity;
}

/**
 * Identities from API keys and service tokens. Only keyed hashes are held, with a random key of this process;
 * a token is found by its hash and compared in constant time.
 *
 * @throws {OrchestratorError} `invalid_request` for an invalid id, an unknown scope, an empty or repeated token,
 *   or a third token of a service.
 */
export function createIdentities(list: IdentityList): ListedIdentities {
  const secret = randomBytes(32);
  const digestOf = (token: string) => createHmac('sha256', secret).update(token).digest();
  let entries = readList(list, digestOf);
  return {
    authenticate(token) {
      const digest = digestOf(token);
      const found = entries.get(digest.toString('base64'));
      return found && timingSafeEqual(found.digest, digest) ? found.identity : undefined;
    },
    replace(next) {
      entries = readList(next, digestOf);
    },
  };
}

function readList(list: IdentityList, digestOf: (token: string) => Buffer): Map<string, Entry> {
  const entries = new Map<string, Entry>();
  const add = (token: string, what: string, identity: Identity) => {
    if (!TOKEN.test(token)) {
      throw new OrchestratorError('invalid_request', `${what}: expected 1 to 8192 visible ASCII characters`);
    }
    const digest = digestOf(token);
    const slot = digest.toString('base64');
    if (entries.has(slot))
      throw new OrchestratorError('invalid_request', `${what}: the token is listed twice`);
    entries.set(slot, { digest, identity });
  };
  for (const apiKey of list.apiKeys ?? [])
    add(apiKey.key, `the API key of tenant ${apiKey.tenant}`, clientOf(apiKey));
  const live = new Map<string, number>();
  for (const { service, token, tenants } of list.serviceTokens ?? []) {
    validate(idSchema, service, 'the service of a token');
    for (const tenant of tenants ?? []) validate(idSchema, tenant, `a tenant of the token of ${service}`);
    live.set(service, (live.get(service) ?? 0) + 1);
    if ((live.get(service) ?? 0) > LIVE_TOKENS_PER_SERVICE) {
      throw new OrchestratorError('invalid_request', `${service}: expected at most two live tokens`);
    }
    const identity = { kind: 'service', service, ...(tenants && { tenants: new Set(tenants) }) } as const;
    add(token, `the token of service ${service}`, identity);
  }
  const { operatorToken, operatorReadToken } = list;
  if (operatorToken !== undefined) add(operatorToken, 'the operator token', { kind: 'operator' });
  if (operatorReadToken !== undefined)
    add(operatorReadToken, 'the read token of operators', { kind: 'operator', readOnly: true });
  return entries;
}

function clientOf({ tenant, scopes, userId }: NonNullable<IdentityList['apiKeys']>[number]): ClientIdentity {
  validate(idSchema, tenant, 'the tenant of an API key');
  const unknown = scopes?.find((scope) => !isScope(scope));
  if (unknown !== undefined) {
    throw new OrchestratorError(
      'invalid_request',
      `scopes of an API key of tenant ${tenant}: expected some of ${SCOPES.join(', ')}, got ${describe(unknown)}`,
    );
  }
  return {
    kind: 'client',
    tenant,
    scopes: new Set(scopes ?? SCOPES),
    ...(userId !== undefined && {
      userId: validate(userIdSchema, userId, `userId of an API key of tenant ${tenant}`),
    }),
  };
}

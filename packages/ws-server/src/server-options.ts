import {
  describe,
  guardedLogger,
  type Logger,
  OrchestratorError,
  silentLogger,
} from '@agent-orchestrator/core';
import { present } from './http/present.js';
import type { Identities } from './auth/identities.js';

export interface OrchestratorServerOptions {
  /** Whom a token belongs to; `createIdentities` makes one from a list. Only `serves: 'health'` does without. */
  readonly identities?: Identities;
  /** `health`: only `/health/live`, `/health/ready` and `/metrics`, and no sockets. Default: everything. */
  readonly serves?: 'everything' | 'health';
  /** Origins of the pages that may open sockets, exactly as browsers send them: `https://app.example.com`. Default: none. */
  readonly allowedOrigins?: readonly string[];
  /** Between two signs of life on sockets and streams, in milliseconds. A socket that does not answer one is ended at the next. Default: 15,000. */
  readonly heartbeatMs?: number;
  /** How long a socket's first frame may take, in milliseconds. Default: 5,000. */
  readonly helloMs?: number;
  /** How long `identities.authenticate()` may take for one token, in milliseconds. Default: 5,000. */
  readonly authenticateTimeoutMs?: number;
  /** How long the headers of a request may take, in milliseconds. Default: 10,000. */
  readonly headersTimeoutMs?: number;
  /** How long a whole request may take to come in, in milliseconds. Default: 30,000. */
  readonly requestTimeoutMs?: number;
  /** Sockets at a time. Default: 10,000. */
  readonly maxConnections?: number;
  /**
   * Connections of one address (IPv6: of one /64) to the server's own port that are no sockets, at a time. Counted only
   * without `trustedProxies`. Default: half of `maxConnections`.
   */
  readonly maxConnectionsPerAddress?: number;
  /** Sockets and streams of one tenant at a time. Default: half of `maxConnections`. */
  readonly maxConnectionsPerTenant?: number;
  /** Sockets of one service at a time. Default: half of `maxConnections`. */
  readonly maxConnectionsPerService?: number;
  /** Sockets at a time whose credential has not come or is being checked. Default: half of `maxConnections`. */
  readonly maxUnauthenticated?: number;
  /** Of those, of one address (IPv6: of one /64). Default: a tenth of `maxConnections`. */
  readonly maxUnauthenticatedPerAddress?: number;
  /**
   * How many proxies of your own are in front: the address of a client is then the so-manieth from the end of
   * `X-Forwarded-For`. Default: 0, the address of the connection.
   */
  readonly trustedProxies?: number;
  /** Tickets of a tenant that are neither spent nor expired. Default: 10,000. */
  readonly maxTicketsPerTenant?: number;
  /**
   * Frames that one connection of a service may send in a second, with ten times as many saved up for a burst. One that
   * sends faster is not read for a while. Default: 500.
   */
  readonly serviceFramesPerSecond?: number;
  /** The same in bytes, with an eighth of it saved up. Default: 8 MiB. */
  readonly serviceBytesPerSecond?: number;
  /** Frames without `message_id` of one service that wait in memory for the storage, in bytes. Default: 64 MiB. */
  readonly maxHeldBytesPerService?: number;
  /** What it throws is dropped. Default: says nothing. */
  readonly logger?: Logger;
}

export type ServerSettings = Required<Omit<OrchestratorServerOptions, 'allowedOrigins'>> & {
  readonly allowedOrigins: ReadonlySet<string>;
};

/**
 * The options with their defaults.
 *
 * @throws {OrchestratorError} `invalid_request` for a value that can't be meant.
 */
export function readOptions(options: OrchestratorServerOptions): ServerSettings {
  const numbers = { ...defaultsFor(options.maxConnections), ...present(options) };
  for (const name of Object.keys(defaultsFor(undefined)) as (keyof NumericSettings)[]) {
    const least = name === 'trustedProxies' ? 0 : 1;
    const value: unknown = numbers[name];
    if (Number.isSafeInteger(value) && (value as number) >= least && (value as number) < 2 ** 31) continue;
    throw new OrchestratorError(
      'invalid_request',
      `${name}: expected a whole number from ${least} to ${2 ** 31 - 1}, got ${describe(value)}`,
    );
  }
  return {
    ...numbers,
    ...admission(options),
    allowedOrigins: new Set((options.allowedOrigins ?? []).map(exactOrigin)),
    logger: guardedLogger(options.logger ?? silentLogger),
  };
}

type NumericSettings = ReturnType<typeof defaultsFor>;

function defaultsFor(maxConnections = 10_000) {
  const half = Math.max(1, Math.floor(maxConnections / 2));
  return {
    heartbeatMs: 15_000,
    helloMs: 5_000,
    authenticateTimeoutMs: 5_000,
    headersTimeoutMs: 10_000,
    requestTimeoutMs: 30_000,
    maxConnections,
    maxConnectionsPerAddress: half,
    maxConnectionsPerTenant: half,
    maxConnectionsPerService: half,
    maxUnauthenticated: half,
    maxUnauthenticatedPerAddress: Math.max(1, Math.floor(maxConnections / 10)),
    trustedProxies: 0,
    maxTicketsPerTenant: 10_000,
    serviceFramesPerSecond: 500,
    serviceBytesPerSecond: 8 * 1024 * 1024,
    maxHeldBytesPerService: 64 * 1024 * 1024,
  };
}

/** Nobody is let in where nothing is served that takes a credential. */
function admission({
  identities,
  serves = 'everything',
}: OrchestratorServerOptions): Pick<ServerSettings, 'identities' | 'serves'> {
  if (serves === 'health') return { serves, identities: { authenticate: () => undefined } };
  if (serves !== 'everything') {
    throw new OrchestratorError(
      'invalid_request',
      `serves: expected "everything" or "health", got "${String(serves)}"`,
    );
  }
  if (typeof identities?.authenticate === 'function') return { serves, identities };
  throw new OrchestratorError(
    'invalid_request',
    `identities: expected an object with authenticate(token), got ${describe(identities)}`,
  );
}

function exactOrigin(origin: string): string {
  if (URL.canParse(origin) && new URL(origin).origin === origin) return origin;
  throw new OrchestratorError(
    'invalid_request',
    `allowedOrigins: expected origins like "https://app.example.com", got "${origin}"`,
  );
}

import { type Clock, type Logger, OrchestratorError } from '@agent-orchestrator/core';
import { systemClock } from '@agent-orchestrator/core/storage';
import { silentLogger } from '@agent-orchestrator/core/server';
import { describe } from '@agent-orchestrator/core/protocol';
import { guardedLogger } from '@agent-orchestrator/core/server';
import { present } from './http/present.js';
import { type RateOptions, type Rates, readRates } from './rates/rate-options.js';
import type { Identities } from './auth/identities.js';

/** Options of `OrchestratorServer`. */
export interface OrchestratorServerOptions {
  /**
   * Authentication of tokens; `createIdentities` makes one from a list. Optional only with `serves:
   * 'health'`.
   */
  readonly identities?: Identities;
  /** `health`: only `/health/live`, `/health/ready` and `/metrics`, and no sockets. Default: everything. */
  readonly serves?: 'everything' | 'health';
  /**
   * Origins of pages that may open sockets, exactly as browsers send them: `https://app.example.com`.
   * Default: none.
   */
  readonly allowedOrigins?: readonly string[];
  /**
   * Heartbeat interval of sockets and streams, ms. A socket without an answer is closed at the next one.
   * Default: 15,000.
   */
  readonly heartbeatMs?: number;
  /** Time limit of a socket's first frame, ms. Default: 5,000. */
  readonly helloMs?: number;
  /** Time limit of `identities.authenticate()` for one token, ms. Default: 5,000. */
  readonly authenticateTimeoutMs?: number;
  /** Time limit of the request headers, ms. Default: 10,000. */
  readonly headersTimeoutMs?: number;
  /** Time limit of a whole request, ms. Default: 30,000. */
  readonly requestTimeoutMs?: number;
  /** Maximum of open sockets. Default: 10,000. */
  readonly maxConnections?: number;
  /**
   * Maximum of connections without a socket from one address (IPv6: one /64) to the server's own port. Only
   * without `trustedProxies`. Default: half of `maxConnections`.
   */
  readonly maxConnectionsPerAddress?: number;
  /** Maximum of sockets and streams of one tenant. Default: half of `maxConnections`. */
  readonly maxConnectionsPerTenant?: number;
  /** Maximum of sockets of one service. Default: half of `maxConnections`. */
  readonly maxConnectionsPerService?: number;
  /** Maximum of sockets that are not authenticated yet. Default: half of `maxConnections`. */
  readonly maxUnauthenticated?: number;
  /** The same from one address (IPv6: one /64). Default: a tenth of `maxConnections`. */
  readonly maxUnauthenticatedPerAddress?: number;
  /**
   * Number of trusted reverse proxies in front: the client address is the entry at this position from the end
   * of `X-Forwarded-For`. Default: 0, the address of the connection.
   */
  readonly trustedProxies?: number;
  /**
   * Limits of requests and of failed logins: `{ tenant: { perMinute: 6_000, burst: 1_000 } }`. Default: none.
   */
  readonly rates?: RateOptions;
  /** Maximum of open tickets of a tenant. Default: 10,000. */
  readonly maxTicketsPerTenant?: number;
  /**
   * Frames per second from one service connection, with a burst of ten seconds' worth. A faster sender is not
   * read for a while. Default: 500.
   */
  readonly serviceFramesPerSecond?: number;
  /** The same in bytes, with a burst of an eighth. Default: 8 MiB. */
  readonly serviceBytesPerSecond?: number;
  /**
   * Bytes of a service's frames without `message_id` held in memory while the storage is unavailable.
   * Default: 64 MiB.
   */
  readonly maxHeldBytesPerService?: number;
  /** Exceptions of the logger are dropped. Default: silent. */
  readonly logger?: Logger;
  /**
   * Heartbeats, time limits and retries of sockets and streams; tests advance it manually. Default: the
   * system's. The limits of request headers and bodies are those of Node.
   */
  readonly clock?: Clock;
}

export type ServerSettings = Required<Omit<OrchestratorServerOptions, 'allowedOrigins' | 'rates'>> & {
  readonly rates: Rates;
  readonly allowedOrigins: ReadonlySet<string>;
};

/**
 * Options with defaults.
 *
 * @throws {OrchestratorError} `invalid_request` for an invalid value.
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
    rates: readRates(options.rates),
    allowedOrigins: new Set((options.allowedOrigins ?? []).map(exactOrigin)),
    logger: guardedLogger(options.logger ?? silentLogger),
    clock: options.clock ?? systemClock,
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

/** Without routes that take a credential, no socket is admitted. */
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

import {
  describe,
  guardedLogger,
  type Logger,
  OrchestratorError,
  silentLogger,
} from '@agent-orchestrator/core';
import type { Identities } from './identities.js';

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
  /** Tickets of a tenant that are neither spent nor expired. Default: 10,000. */
  readonly maxTicketsPerTenant?: number;
  /**
   * Frames that one connection of a service may send in a second; with twice as many saved up for a burst. What comes
   * beyond is put off: `retry_later`. Default: 500.
   */
  readonly serviceFramesPerSecond?: number;
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
  const settings = {
    ...admission(options),
    allowedOrigins: new Set((options.allowedOrigins ?? []).map(exactOrigin)),
    heartbeatMs: options.heartbeatMs ?? 15_000,
    helloMs: options.helloMs ?? 5_000,
    authenticateTimeoutMs: options.authenticateTimeoutMs ?? 5_000,
    headersTimeoutMs: options.headersTimeoutMs ?? 10_000,
    requestTimeoutMs: options.requestTimeoutMs ?? 30_000,
    maxConnections: options.maxConnections ?? 10_000,
    maxTicketsPerTenant: options.maxTicketsPerTenant ?? 10_000,
    serviceFramesPerSecond: options.serviceFramesPerSecond ?? 500,
    logger: guardedLogger(options.logger ?? silentLogger),
  };
  for (const name of [
    'heartbeatMs',
    'helloMs',
    'authenticateTimeoutMs',
    'headersTimeoutMs',
    'requestTimeoutMs',
    'maxConnections',
    'maxTicketsPerTenant',
    'serviceFramesPerSecond',
  ] as const) {
    const value = settings[name];
    if (Number.isSafeInteger(value) && value >= 1 && value < 2 ** 31) continue;
    throw new OrchestratorError(
      'invalid_request',
      `${name}: expected a whole number from 1 on, got ${value}`,
    );
  }
  return settings;
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

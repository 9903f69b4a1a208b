import { OrchestratorError } from '@agent-orchestrator/core';
import { Cluster, Redis, type RedisOptions } from 'ioredis';

/** Where Redis is: a URL (`redis://` or `rediss://`), the nodes of a Cluster, or the sentinels of a master. */
export type RedisTarget =
  | string
  /** URLs, or `host:port`. */
  | { readonly nodes: readonly string[]; readonly username?: string; readonly password?: string }
  | {
      readonly sentinels: readonly string[];
      readonly name: string;
      readonly username?: string;
      readonly password?: string;
    };

/** What a connection is for. One that listens waits for ever, one for commands has a limit for each. */
type Purpose = 'commands' | 'listening';

const CONNECT_TIMEOUT_MS = 5_000;
const RETRY_MAX_MS = 1_000;

/** For a connection that listens. It is told by us what to listen to again: nobody would hear that it can't be. */
export const LISTENING = { maxRetriesPerRequest: null, autoResubscribe: false } as const;

function options(purpose: Purpose, commandTimeoutMs: number): RedisOptions {
  return {
    // Push frames of the newer protocol are of no use here, and some servers mix them up with replies.
    protocol: 2,
    connectTimeout: CONNECT_TIMEOUT_MS,
    retryStrategy: (times) => Math.min(50 * times, RETRY_MAX_MS),
    keepAlive: 10_000,
    ...(purpose === 'commands' ? { commandTimeout: commandTimeoutMs, maxRetriesPerRequest: 2 } : LISTENING),
  };
}

/** Opens a connection of our own. It is made again, as often as need be, when it is lost. */
export function connect(target: RedisTarget, purpose: Purpose, commandTimeoutMs: number): Redis | Cluster {
  const common = options(purpose, commandTimeoutMs);
  if (typeof target === 'string')
    return new Redis(checked(target).href, { ...common, replyMapping: 'legacy' });
  const credentials = {
    ...(target.username !== undefined && { username: target.username }),
    ...(target.password !== undefined && { password: target.password }),
  };
  if ('sentinels' in target) {
    const sentinels = target.sentinels.map(hostAndPort);
    return new Redis({ ...common, ...credentials, sentinels, name: target.name, replyMapping: 'legacy' });
  }
  const { maxRetriesPerRequest: _, retryStrategy: __, ...ofNodes } = common;
  const tls = target.nodes.some((node) => node.startsWith('rediss:')) && { tls: {} };
  return new Cluster(target.nodes.map(hostAndPort), {
    redisOptions: { ...ofNodes, ...credentials, ...tls, replyMapping: 'legacy' },
    // It would ask for more rights than are needed, and wait for them without end.
    enableReadyCheck: false,
    clusterRetryStrategy: (times) => Math.min(50 * times, RETRY_MAX_MS),
    slotsRefreshTimeout: CONNECT_TIMEOUT_MS,
  });
}

/** @throws {OrchestratorError} `invalid_request`. What came is not in it: there may be a password in it. */
function checked(address: string): URL {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url && /^rediss?:$/.test(url.protocol)) return url;
  const expected = 'expected addresses like redis://host:6379, rediss://host:6379 or host:6379';
  throw new OrchestratorError('invalid_request', `Redis: ${expected}, got something else`);
}

function hostAndPort(node: string): { readonly host: string; readonly port: number } {
  const { hostname, port } = checked(/^\w+:\/\//.test(node) ? node : `redis://${node}`);
  return { host: hostname.replace(/^\[(.*)\]$/, '$1'), port: Number(port || 6379) };
}

/** Ends a connection of our own, whatever it is doing. */
export function disconnect(client: Redis | Cluster): void {
  client.disconnect();
}

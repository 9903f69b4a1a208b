import { OrchestratorError } from '@agent-orchestrator/core';
import { Cluster, Redis, type RedisOptions } from 'ioredis';
import { SUBSCRIBER, type Topology } from './topology.js';

/**
 * Address of Redis: a URL (`redis://` or `rediss://`), the nodes of a Cluster, or the sentinels of a master.
 */
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

/** Purpose of a connection: subscriptions have no timeout, each command has one. */
type Purpose = 'commands' | 'subscriptions';

const CONNECT_TIMEOUT_MS = 5_000;
const RETRY_MAX_MS = 1_000;

function options(purpose: Purpose, commandTimeoutMs: number): RedisOptions {
  return {
    // Push frames of RESP3 are not needed, and some servers mix them up with replies.
    protocol: 2,
    connectTimeout: CONNECT_TIMEOUT_MS,
    retryStrategy: (times) => Math.min(50 * times, RETRY_MAX_MS),
    keepAlive: 10_000,
    ...(purpose === 'commands' ? { commandTimeout: commandTimeoutMs, maxRetriesPerRequest: 2 } : SUBSCRIBER),
  };
}

/**
 * Opens an owned connection, which reconnects without limit.
 * @throws {OrchestratorError} `invalid_request` for an invalid target.
 */
export function connect(target: RedisTarget, purpose: Purpose, commandTimeoutMs: number): Redis | Cluster {
  checkTarget(target);
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
    // The check needs more permissions than the adapter, and waits for them without end.
    enableReadyCheck: false,
    clusterRetryStrategy: (times) => Math.min(50 * times, RETRY_MAX_MS),
    slotsRefreshTimeout: CONNECT_TIMEOUT_MS,
  });
}

/** Without the value found: it may have a password. */
function refused(expected: string): OrchestratorError {
  return new OrchestratorError('invalid_request', `Redis: expected ${expected}, got something else`);
}

function checkTarget(target: unknown): void {
  if (typeof target === 'string') return;
  if (typeof target !== 'object' || target === null)
    throw refused('an address like redis://host:6379, or { nodes }, or { sentinels, name }');
  const { nodes, sentinels, name } = target as Readonly<Record<string, unknown>>;
  const addresses = sentinels ?? nodes;
  const areAddresses = Array.isArray(addresses) && addresses.every((one) => typeof one === 'string');
  if (!areAddresses || addresses.length === 0)
    throw refused('{ nodes } or { sentinels, name } with a list of at least one address');
  if (sentinels !== undefined && (typeof name !== 'string' || name === ''))
    throw refused('the name of the master beside its sentinels');
}

/**
 * The client would read anything else in an address as one of its own options, and an invalid database as 0.
 */
function checked(address: string, form = 'an address like redis://host:6379 or rediss://host:6379'): URL {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (!url || !/^rediss?:$/.test(url.protocol) || url.hostname === '') throw refused(form);
  if (!/^\/?(?:\d{1,5})?$/.test(url.pathname)) throw refused('a number as the database in its address');
  if (url.search !== '' || url.hash !== '') throw refused('an address without "?" and "#"');
  try {
    decodeURIComponent(url.username + url.password);
  } catch {
    throw refused('user and password in percent-encoded UTF-8');
  }
  return url;
}

function hostAndPort(node: string): { readonly host: string; readonly port: number } {
  const { hostname, port, pathname } = checked(
    /^\w+:\/\//.test(node) ? node : `redis://${node}`,
    'addresses like redis://host:6379, rediss://host:6379 or host:6379',
  );
  if (!/^\/?0*$/.test(pathname)) throw refused('no database in the address of a node or a sentinel');
  return { host: hostname.replace(/^\[(.*)\]$/, '$1'), port: Number(port || 6379) };
}

/** Settings of a borrowed client that change keys or answers. */
const UNFIT = [
  ['keyPrefix', 'no keyPrefix: use the option "prefix"'],
  ['stringNumbers', 'no stringNumbers'],
  ['readOnly', 'no readOnly'],
] as const;

/**
 * Checks a client before it is borrowed.
 * @throws {OrchestratorError} `invalid_request` that names the setting.
 */
export function checkBorrowed({ settings }: Topology): void {
  for (const options of settings as readonly Readonly<Record<string, unknown>>[]) {
    for (const [name, expected] of UNFIT) if (options[name]) throw refused(`a client with ${expected}`);
    if (options['replyMapping'] === 'resp3') throw refused('a client with replyMapping "legacy"');
  }
}

/** Ends an owned connection at once. */
export function disconnect(client: Redis | Cluster): void {
  client.disconnect();
}

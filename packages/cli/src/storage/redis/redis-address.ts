import { listSchema } from '@agent-orchestrator/core/protocol';
import { z } from 'zod';

/** Address and credentials of Redis. `kind`: standalone, Cluster or Sentinel. */
export interface RedisSetting {
  readonly kind: 'standalone' | 'cluster' | 'sentinel';
  /** `host:port`; exactly one for a standalone Redis. */
  readonly hosts: readonly string[];
  /** Master name at the sentinels. */
  readonly name?: string;
  readonly database: number;
  /** Standalone Redis only. */
  readonly tls: boolean;
  readonly username?: string;
  readonly password?: string;
}

/** Scheme, user and password up to the last "@", hosts, rest after the first slash. */
const URL_PARTS = /^(rediss?|redis\+sentinel):\/\/(?:(.*)@)?([^/@?#]+)(?:\/([^/?#@]*))?$/s;
const HOST = /^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])$/;
const REDIS_PORT = 6379;
const SENTINEL_PORT = 26_379;

const hostsSchema = listSchema(z.string(), { min: 1, max: 100 });
const credentials = { username: z.string().min(1).optional(), password: z.string().min(1).optional() };
const objectSchema = z.union([
  z.strictObject({ nodes: hostsSchema, ...credentials }),
  z.strictObject({ sentinels: hostsSchema, name: z.string().min(1), ...credentials }),
]);

/** Redis by its nodes or sentinels; as a URL see `docs/operating-redis.md`. Each host is `host` or `host:port`. */
export type RedisConfig = string | RedisNodesConfig | RedisSentinelsConfig;

/** A Redis Cluster. */
export interface RedisNodesConfig {
  /** Some nodes of a Cluster. */
  readonly nodes: readonly string[];
  readonly username?: string;
  readonly password?: string;
}

/** A Redis behind sentinels. */
export interface RedisSentinelsConfig {
  readonly sentinels: readonly string[];
  /** Name of the master at the sentinels. */
  readonly name: string;
  readonly username?: string;
  readonly password?: string;
}

/** Settings of Redis in a config file. */
export interface RedisStorageConfig {
  /** The same as `storage`, by nodes or sentinels too. */
  readonly redis?: RedisConfig;
  /** Password, unless the address has one. */
  readonly redisPassword?: string;
}

/** Reads a URL, `{ nodes }`, or `{ sentinels, name }`; `undefined` for anything else. */
export function readRedis(value: unknown): RedisSetting | undefined {
  return typeof value === 'string' ? fromUrl(value) : fromObject(value);
}

/** Address for messages, without secrets. */
export function redisLabel({ kind, hosts, name, database, tls }: RedisSetting): string {
  const scheme = kind === 'sentinel' ? 'redis+sentinel' : tls ? 'rediss' : 'redis';
  const path = kind === 'sentinel' ? `/${name}` : database > 0 ? `/${database}` : '';
  return `${scheme}://${hosts.join(',')}${path}`;
}

/** Address with user and password, for another process. */
export function redisUrl(setting: RedisSetting): string {
  const { kind, hosts, username, password } = setting;
  // One address alone would be a standalone Redis.
  const isLonely = kind === 'cluster' && hosts.length === 1;
  const label = redisLabel(isLonely ? { ...setting, hosts: [...hosts, ...hosts] } : setting);
  if (username === undefined && password === undefined) return label;
  const who = [username ?? '', password ?? ''].map(encodeURIComponent).join(':');
  return label.replace('://', () => `://${who}@`);
}

/** Removes possible users and passwords of URLs from a text. */
export function withoutCredentials(text: string): string {
  return text.replaceAll(/([a-z][a-z+]*:\/\/)[^\s"']*@/gi, '$1***@');
}

function fromUrl(text: string): RedisSetting | undefined {
  const [, scheme, userAndPassword, list = '', path = ''] = URL_PARTS.exec(text) ?? [];
  if (scheme === undefined) return undefined;
  const isSentinel = scheme === 'redis+sentinel';
  const hosts = withPorts(list.split(','), isSentinel ? SENTINEL_PORT : REDIS_PORT);
  const who = userAndPassword === undefined ? {} : credentialsOf(userAndPassword);
  if (!hosts || !who) return undefined;
  const common = { hosts, tls: scheme === 'rediss', ...who };
  if (isSentinel) return path === '' ? undefined : { kind: 'sentinel', name: path, database: 0, ...common };
  // A Cluster has one database only; TLS is supported for a standalone Redis only.
  if (hosts.length > 1)
    return path === '' && !common.tls ? { kind: 'cluster', database: 0, ...common } : undefined;
  return /^\d{0,4}$/.test(path) ? { kind: 'standalone', database: Number(path), ...common } : undefined;
}

function fromObject(value: unknown): RedisSetting | undefined {
  const parsed = objectSchema.safeParse(value);
  if (!parsed.success) return undefined;
  const { username, password } = parsed.data;
  const who = { ...(username !== undefined && { username }), ...(password !== undefined && { password }) };
  if ('nodes' in parsed.data) {
    const hosts = withPorts(parsed.data.nodes, REDIS_PORT);
    return hosts && { kind: 'cluster', hosts, database: 0, tls: false, ...who };
  }
  const hosts = withPorts(parsed.data.sentinels, SENTINEL_PORT);
  return hosts && { kind: 'sentinel', hosts, name: parsed.data.name, database: 0, tls: false, ...who };
}

function withPorts(texts: readonly string[], usual: number): string[] | undefined {
  const hosts = texts.map((text) => {
    const [, host = '', port = String(usual)] = /^(.*?)(?::(\d{1,5}))?$/.exec(text.trim()) ?? [];
    return HOST.test(host) && Number(port) >= 1 && Number(port) <= 65_535 ? `${host}:${port}` : undefined;
  });
  return hosts.every((host) => host !== undefined) ? hosts : undefined;
}

/** Percent-decoded; text that is not validly encoded is taken as is. */
function credentialsOf(text: string): { username?: string; password?: string } | undefined {
  const colon = text.indexOf(':');
  // `redis://secret@host` is ambiguous.
  if (colon < 0) return undefined;
  const username = decoded(text.slice(0, colon));
  const password = decoded(text.slice(colon + 1));
  return { ...(username !== '' && { username }), ...(password !== '' && { password }) };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

import { OrchestratorError } from '@agent-orchestrator/core';
import type { RedisPortableState, RedisStorage, RedisTarget } from '@agent-orchestrator/redis-adapter';
import { ConfigurationError } from '../../errors/errors.js';
import type { RedisSetting } from './redis-address.js';

/** Lazy adapter for a setting: other commands start sooner without it. */
export async function connectRedis(setting: RedisSetting): Promise<RedisStorage> {
  const { RedisStorage: Adapter } = await import('@agent-orchestrator/redis-adapter');
  return connecting(() => Adapter.connect(targetOf(setting)));
}

/** The same for an export or an import. */
export async function portableRedis(setting: RedisSetting): Promise<RedisPortableState> {
  const { RedisPortableState: Adapter } = await import('@agent-orchestrator/redis-adapter');
  return connecting(() => Adapter.connect(targetOf(setting)));
}

function connecting<T>(connect: () => T): T {
  try {
    return connect();
  } catch (error) {
    // An invalid address is a configuration error; an unreachable one is found later.
    if (error instanceof OrchestratorError && error.code === 'invalid_request') {
      throw new ConfigurationError(error.message, { cause: error });
    }
    throw error;
  }
}

function targetOf({ kind, hosts, name = '', database, tls, username, password }: RedisSetting): RedisTarget {
  const who = { ...(username !== undefined && { username }), ...(password !== undefined && { password }) };
  if (kind === 'sentinel') return { sentinels: hosts, name, ...who };
  if (kind === 'cluster') return { nodes: hosts, ...who };
  const hasCredentials = username !== undefined || password !== undefined;
  const parts = [username ?? '', password ?? ''].map(encodeURIComponent).join(':');
  return `${tls ? 'rediss' : 'redis'}://${hasCredentials ? `${parts}@` : ''}${hosts[0]}/${database}`;
}

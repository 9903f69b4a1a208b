import type { RedisStorage } from '@agent-orchestrator/redis-adapter';
import { ConfigurationError } from '../../errors/errors.js';
import type { OpenStorageOptions } from '../storage-kind.js';
import { openRedis } from './open-redis.js';
import { redisLabel, type RedisSetting } from './redis-address.js';

/**
 * The Redis of an orchestrator, after a check of its server.
 *
 * @throws {ConfigurationError} when its settings would lose tasks.
 */
export async function openCheckedRedis(
  setting: RedisSetting,
  { signal, warn }: OpenStorageOptions,
): Promise<RedisStorage> {
  const storage = await openRedis(setting, { signal });
  try {
    const findings = await storage.checkServer();
    // Nodes of a Cluster usually have the same findings.
    const messages = (wanted: string) => [
      ...new Set(findings.filter(({ level }) => level === wanted).map(({ message }) => message)),
    ];
    for (const message of messages('unsafe')) warn(message);
    const refused = messages('refused');
    if (refused.length === 0) return storage;
    throw new ConfigurationError(
      `the Redis at ${redisLabel(setting)} would lose tasks: ${refused.join('; ')}`,
    );
  } catch (error) {
    await storage.close().catch(() => undefined);
    throw error;
  }
}

import { ConfigurationError } from '../exit-code.js';
import { redisLabel, type RedisSetting } from '../settings/redis-setting.js';
import type { OperatorStorage } from '../storage/operator-storage.js';

export interface SharedStorageOptions {
  readonly open: () => Promise<OperatorStorage>;
  readonly setting: RedisSetting;
  /** Called with unsafe settings of the server. */
  readonly warn: (text: string) => void;
}

/**
 * The shared storage, after a check of its server.
 *
 * @throws {ConfigurationError} when its settings would lose tasks.
 */
export async function openSharedStorage(options: SharedStorageOptions): Promise<OperatorStorage> {
  const { open, setting, warn } = options;
  const storage = await open();
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

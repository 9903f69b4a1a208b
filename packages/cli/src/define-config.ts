import type { z } from 'zod';
import type { settingsSchema } from './settings/settings-schema.js';

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

/** Settings of a config file, with the defaults of `docs/cli.md`. */
export type OrchestratorConfig = Omit<z.input<typeof settingsSchema>, 'redis'> & {
  /** Storage. Default: in memory. */
  readonly redis?: RedisConfig;
};

/**
 * Types the default export of `orchestrator.config.mjs` or `.ts`. Returns `config` itself: it is validated when a command
 * reads it.
 *
 * @example
 * import { defineConfig } from '@agent-orchestrator/cli';
 *
 * export default defineConfig({
 *   services: { query: { url: 'http://127.0.0.1:8101', token: process.env.QUERY_TOKEN } },
 *   workflows: { hello: async (ctx, input) => ({ said: `hello ${input.name}` }) },
 * });
 */
export function defineConfig(config: OrchestratorConfig): OrchestratorConfig {
  return config;
}

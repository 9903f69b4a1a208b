export { defineConfig, type OrchestratorConfig } from './define-config.js';
export type { RedisConfig, RedisNodesConfig, RedisSentinelsConfig } from './storage/redis/redis-address.js';

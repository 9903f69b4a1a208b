export {
  defineConfig,
  type OrchestratorConfig,
  type RedisConfig,
  type RedisNodesConfig,
  type RedisSentinelsConfig,
} from './define-config.js';

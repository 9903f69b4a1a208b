export { askRedis, type AskRedisOptions, type RedisReply } from './ask-redis.js';
export {
  FaultyProxy,
  type FaultyProxyOptions,
  type ProxyCounters,
  type ReplyFaultOptions,
} from './faulty-proxy.js';
export { findRedisServer, type RedisPrograms, searchRedisServer } from './find-redis-server.js';
export { type FindOptions } from './debian-package.js';
export { findPromtool } from './find-promtool.js';
export { freePort } from './free-port.js';
export { installLocked } from './install-locked.js';
export { slotOf } from './key-slot.js';
export { RedisCluster, type RedisClusterOptions } from './redis-cluster.js';
export { RedisSentinel, type RedisSentinelOptions } from './redis-sentinel.js';
export { RedisServer, type RedisServerOptions } from './redis-server.js';
export { openTestRedis, sharedCluster, sharedRedis, type TestRedis } from './test-redis.js';
export { MARKS_REJECTIONS, refuseUnhandled, watchStderr } from './unhandled-rejection.js';

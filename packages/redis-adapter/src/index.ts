export { RedisStorage, type RedisStorageOptions } from './redis-storage.js';
export type { RedisTarget } from './server/connection.js';
export type { ServerFinding } from './server/server-check.js';
export type { RedisSystemEvents } from './pubsub/system-events.js';

export { RedisStorage, type RedisStorageOptions } from './redis-storage.js';
export type { RedisTarget } from './connection.js';
export type { ServerFinding } from './server-check.js';
export type { Notice } from './notices.js';

export { RedisStorage, type RedisStorageOptions } from './redis-storage.js';
export { RedisPortableState, type RedisPortableStateOptions } from './portable/redis-portable-state.js';
export { RedisEntryStore, type RedisEntryStoreOptions } from './services/entry-store.js';
export type { RedisTarget } from './server/connection.js';
export type { ServerFinding } from './server/server-check.js';
export type { RedisSystemEvents } from './pubsub/system-events.js';

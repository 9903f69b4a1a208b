export { RedisStorage, type RedisStorageOptions, type RedisTarget } from './redis-storage.js';

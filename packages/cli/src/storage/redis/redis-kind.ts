import type {
  InspectStorageOptions,
  OpenStorageOptions,
  StorageAddress,
  StorageKind,
} from '../storage-kind.js';
import { readRedis, redisLabel, type RedisSetting, redisUrl } from './redis-address.js';
import { REDIS_URL_FORM, redisSettings } from './redis-settings.js';

/** Storage of many processes. The adapter is loaded when it is opened: other commands start sooner without it. */
export class RedisAddress implements StorageAddress {
  readonly label: string;

  constructor(readonly setting: RedisSetting) {
    this.label = redisLabel(setting);
  }

  async open(options: OpenStorageOptions) {
    const { openCheckedRedis } = await import('./checked-redis.js');
    return openCheckedRedis(this.setting, options);
  }

  serviceStorage(): string {
    return redisUrl(this.setting);
  }

  async portable() {
    const { portableRedis } = await import('./connect-redis.js');
    return portableRedis(this.setting);
  }

  async inspect(options: InspectStorageOptions) {
    const { openRedis } = await import('./open-redis.js');
    return openRedis(this.setting, options);
  }
}

export const redisKind: StorageKind = {
  schemes: ['redis', 'rediss', 'redis+sentinel'],
  form: REDIS_URL_FORM,
  own: redisSettings,
  read(value) {
    const setting = readRedis(value);
    return setting && new RedisAddress(setting);
  },
  withPassword(address, password) {
    const hasNone = address instanceof RedisAddress && address.setting.password === undefined;
    return hasNone ? new RedisAddress({ ...address.setting, password }) : address;
  },
};

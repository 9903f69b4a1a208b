import { findOrInstall, type FindOptions, programOnPath, type Wanted } from './debian-package.js';

/** The programs of one Redis or Valkey. */
export interface RedisPrograms {
  readonly server: string;
  /** Next to the server; only for manual use. */
  readonly cli: string | undefined;
}

const NAMES = ['redis', 'valkey'];
const REDIS: Wanted<RedisPrograms> = {
  debianPackage: 'redis-server',
  find: async (path) => {
    for (const name of NAMES) {
      const server = await programOnPath(`${name}-server`, path);
      if (server !== undefined) return { server, cli: await programOnPath(`${name}-cli`, path) };
    }
    return undefined;
  },
  missing: (why) =>
    `the tests need a Redis server: expected redis-server (7 or later) or valkey-server, ${why}.\n` +
    'Install one ("apt-get install redis-server", "brew install redis", "apk add valkey"), ' +
    'or name one that runs with TEST_REDIS_URL.',
};

let found: Promise<RedisPrograms> | undefined;

/** The Redis of this machine, searched for once per process. See `searchRedisServer`. */
export function findRedisServer(): Promise<RedisPrograms> {
  found ??= searchRedisServer().catch((error: unknown) => {
    found = undefined;
    throw error;
  });
  return found;
}

/**
 * `redis-server` or `valkey-server` on the PATH; else, as root on Debian, it is installed, without being
 * started.
 *
 * @throws {Error} that says what to install.
 */
export function searchRedisServer(options: FindOptions = {}): Promise<RedisPrograms> {
  return findOrInstall(REDIS, options);
}

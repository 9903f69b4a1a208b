import { RedisCluster } from './redis-cluster.js';
import { RedisServer } from './redis-server.js';

/** A Redis for a suite. */
export interface TestRedis extends AsyncDisposable {
  readonly url: string;
  /** Absent for the one of `TEST_REDIS_URL`, which may have foreign data. */
  readonly server: RedisServer | undefined;
  /** Stops a started server; the one of `TEST_REDIS_URL` is left as it is. */
  close(): Promise<void>;
}

/** The Redis of `TEST_REDIS_URL`, else a new one. */
export async function openTestRedis(): Promise<TestRedis> {
  // Never REDIS_URL: that may be in production.
  const given = process.env['TEST_REDIS_URL'];
  const server = given === undefined || given === '' ? await RedisServer.start() : undefined;
  const close = async () => {
    await server?.stop();
  };
  return { url: server?.url ?? String(given), server, close, [Symbol.asyncDispose]: close };
}

/** One for all modules of a process, also when a test runner loads this one again. */
interface Shared {
  redis?: Promise<TestRedis>;
  cluster?: Promise<RedisCluster>;
}

const KEY = Symbol.for('@agent-orchestrator/test-servers');
const shared = ((globalThis as { [KEY]?: Shared })[KEY] ??= {});

/** One Redis for this process, started at the first call. It ends with the process. */
export function sharedRedis(): Promise<TestRedis> {
  shared.redis ??= openTestRedis();
  return shared.redis;
}

/** One Cluster of three masters for this process, started at the first call. It ends with the process. */
export function sharedCluster(): Promise<RedisCluster> {
  shared.cluster ??= RedisCluster.start();
  return shared.cluster;
}

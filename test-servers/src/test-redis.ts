import { RedisCluster } from './redis-cluster.js';
import { RedisServer } from './redis-server.js';

/** A Redis for a suite. */
export interface TestRedis extends AsyncDisposable {
  readonly url: string;
  /** Absent when it is one of `TEST_REDIS_URL`: then it may hold the data of others. */
  readonly server: RedisServer | undefined;
  /** Stops what was started; one of `TEST_REDIS_URL` is left as it is. */
  close(): Promise<void>;
}

/** The Redis of `TEST_REDIS_URL`, else one of our own. */
export async function openTestRedis(): Promise<TestRedis> {
  // Never REDIS_URL: that may be in production.
  const given = process.env['TEST_REDIS_URL'];
  const server = given === undefined || given === '' ? await RedisServer.start() : undefined;
  const close = async () => {
    await server?.stop();
  };
  return { url: server?.url ?? String(given), server, close, [Symbol.asyncDispose]: close };
}

/** One for all modules of a process, also when a test runner loads this one anew. */
interface Shared {
  redis?: Promise<TestRedis>;
  cluster?: Promise<RedisCluster>;
}

const KEY = Symbol.for('@agent-orchestrator/test-servers');
const shared = ((globalThis as { [KEY]?: Shared })[KEY] ??= {});

/** Shared Redis of this process, started on first use. Ends with the process. */
export function sharedRedis(): Promise<TestRedis> {
  shared.redis ??= openTestRedis();
  return shared.redis;
}

/** Shared Cluster of three masters of this process. Ends with the process. */
export function sharedCluster(): Promise<RedisCluster> {
  shared.cluster ??= RedisCluster.start();
  return shared.cluster;
}

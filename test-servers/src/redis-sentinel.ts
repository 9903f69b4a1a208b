import { RedisServer } from './redis-server.js';
import { waitFor } from './wait-for.js';

export interface RedisSentinelOptions {
  /** Default 1. */
  readonly replicas?: number;
  /** Default 3. */
  readonly sentinels?: number;
  /** Time until a silent master counts as failed, in ms. Default 1,000. */
  readonly downAfterMs?: number;
  /** More arguments of master and replicas. */
  readonly args?: readonly string[];
  readonly appendonly?: boolean;
}

const FORMED_MS = 30_000;
const NAME = 'mymaster';

/**
 * A master, its replicas and the sentinels that watch them, on 127.0.0.1. They know each other when `start`
 * resolves.
 */
export class RedisSentinel implements AsyncDisposable {
  /** The sentinels' name of the master. */
  readonly name = NAME;
  /** The initial master, then its replicas. */
  readonly servers: RedisServer[] = [];
  readonly sentinels: RedisServer[] = [];

  private constructor() {}

  static async start(options: RedisSentinelOptions = {}): Promise<RedisSentinel> {
    const group = new RedisSentinel();
    try {
      await group.#startServers(options);
      await group.#startSentinels(options);
      return group;
    } catch (error) {
      await group.stop();
      throw error;
    }
  }

  /** `host:port` of each sentinel. */
  get addresses(): readonly string[] {
    return this.sentinels.map((sentinel) => sentinel.address);
  }

  /** The current master, according to the sentinels. */
  async master(): Promise<RedisServer> {
    for (const sentinel of this.sentinels.filter(({ isRunning }) => isRunning)) {
      const address = await sentinel
        .ask(['SENTINEL', 'GET-MASTER-ADDR-BY-NAME', NAME], { timeoutMs: 1_000 })
        .catch(() => null);
      const port = Array.isArray(address) ? Number(address[1]) : undefined;
      const found = this.servers.find((server) => server.port === port);
      if (found) return found;
    }
    throw new Error(`no sentinel of ${this.addresses.join(', ')} names a master`);
  }

  async stop(): Promise<void> {
    await Promise.all([...this.sentinels, ...this.servers].map((server) => server.stop()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #startServers({ replicas = 1, args = [], appendonly = false }: RedisSentinelOptions): Promise<void> {
    const common = ['--repl-diskless-sync-delay', '0', ...args];
    const master = await RedisServer.start({ args: common, appendonly });
    this.servers.push(master);
    for (let count = 0; count < replicas; count += 1) {
      const follow = ['--replicaof', '127.0.0.1', String(master.port)];
      this.servers.push(await RedisServer.start({ args: [...common, ...follow], appendonly }));
    }
    // A sentinel reads the master's replicas at once, and then every ten seconds only.
    await waitFor('all replicas follow the master', FORMED_MS, async () => {
      const links = await Promise.all(
        this.servers.slice(1).map((replica) => replica.info('master_link_status')),
      );
      const connected = Number(await master.info('connected_slaves'));
      return connected === replicas && links.every((link) => link === 'up');
    });
  }

  async #startSentinels({ sentinels = 3, replicas = 1, downAfterMs = 1_000 }: RedisSentinelOptions) {
    const [master] = this.servers;
    const quorum = Math.floor(sentinels / 2) + 1;
    const config = [
      `sentinel monitor ${NAME} 127.0.0.1 ${master?.port} ${quorum}`,
      `sentinel down-after-milliseconds ${NAME} ${downAfterMs}`,
      `sentinel failover-timeout ${NAME} ${downAfterMs * 5}`,
    ];
    for (let count = 0; count < sentinels; count += 1) {
      this.sentinels.push(await RedisServer.start({ config, args: ['--sentinel'] }));
    }
    await waitFor('all sentinels know each other and the replicas', FORMED_MS, async () => {
      const known = await Promise.all(
        this.sentinels.map((sentinel) => sentinel.ask(['SENTINEL', 'MASTER', NAME])),
      );
      return known.every((fields) => {
        const field = (name: string) => Array.isArray(fields) && fields[fields.indexOf(name) + 1];
        return (
          field('num-slaves') === String(replicas) && field('num-other-sentinels') === String(sentinels - 1)
        );
      });
    });
  }
}

import { BUS_OFFSET } from './free-port.js';
import { slotOf, slotRanges } from './key-slot.js';
import { RedisServer } from './redis-server.js';
import { waitFor } from './wait-for.js';

export interface RedisClusterOptions {
  /** Default 3, the minimum of a Cluster with failover. */
  readonly masters?: number;
  /** Default 0. */
  readonly replicasPerMaster?: number;
  /** Time until a silent node counts as failed, in ms. Default 1,000. */
  readonly nodeTimeoutMs?: number;
  /** More arguments of each `redis-server`. */
  readonly args?: readonly string[];
  readonly appendonly?: boolean;
}

const FORMED_MS = 30_000;

/**
 * A Redis Cluster on 127.0.0.1, which serves all its slots when `start` resolves. Its nodes are servers of
 * their own.
 */
export class RedisCluster implements AsyncDisposable {
  private constructor(
    /** The initial masters, then their replicas: first one of each, then the next. */
    readonly servers: readonly RedisServer[],
    readonly masterCount: number,
  ) {}

  static async start(options: RedisClusterOptions = {}): Promise<RedisCluster> {
    const { masters = 3, replicasPerMaster = 0 } = options;
    const started = await Promise.allSettled(
      Array.from({ length: masters * (1 + replicasPerMaster) }, () => startNode(options)),
    );
    const servers = started.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    const cluster = new RedisCluster(servers, masters);
    try {
      const failed = started.find((result) => result.status === 'rejected');
      if (failed) throw failed.reason;
      await cluster.#form();
      return cluster;
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  /** `host:port` of each node. */
  get nodes(): readonly string[] {
    return this.servers.map((server) => server.address);
  }

  /** The server that holds a key now. @throws {Error} when no answering node knows one. */
  async slotOwner(key: string): Promise<RedisServer> {
    const slot = slotOf(key);
    for (const member of this.servers.filter((server) => server.isRunning)) {
      // A frozen node does not count.
      const text = await member.ask(['CLUSTER', 'NODES'], { timeoutMs: 1_000 }).catch(() => '');
      const line = String(text)
        .split('\n')
        .find((node) => holds(node, slot));
      const owner = this.servers.find(({ address }) => line?.includes(` ${address}@`) === true);
      if (owner) return owner;
    }
    throw new Error(`no node of ${this.nodes.join(', ')} knows the owner of slot ${slot}`);
  }

  /** Resolves when every running node reports that all slots are served. */
  async isFormed(timeoutMs = FORMED_MS): Promise<void> {
    const running = this.servers.filter((server) => server.isRunning);
    await waitFor('every node of the Cluster says cluster_state:ok', timeoutMs, async () => {
      const answers = await Promise.all(running.map((server) => server.ask(['CLUSTER', 'INFO'])));
      return answers.every((answer) => String(answer).includes('cluster_state:ok'));
    });
  }

  async stop(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.stop()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  /** Like `redis-cli --cluster create`, without its pauses. */
  async #form(): Promise<void> {
    const [first] = this.servers;
    if (!first) throw new Error('expected at least one master');
    const masters = this.servers.slice(0, this.masterCount);
    const ranges = slotRanges(this.masterCount);
    await Promise.all(
      masters.map(async (server, index) => {
        const { first: from, last: to } = ranges[index] ?? { first: 0, last: 0 };
        await server.ask(['CLUSTER', 'SET-CONFIG-EPOCH', index + 1]);
        await server.ask(['CLUSTER', 'ADDSLOTSRANGE', from, to]);
      }),
    );
    for (const server of this.servers.slice(1)) {
      await server.ask(['CLUSTER', 'MEET', '127.0.0.1', first.port, first.port + BUS_OFFSET]);
    }
    await this.#allKnowEachOther();
    await Promise.all(
      this.servers.slice(this.masterCount).map(async (replica, index) => {
        const master = masters[index % this.masterCount];
        await replica.ask(['CLUSTER', 'REPLICATE', String(await master?.ask(['CLUSTER', 'MYID']))]);
      }),
    );
    await this.isFormed();
    await this.#replicasFollow();
  }

  async #allKnowEachOther(): Promise<void> {
    await waitFor('all nodes of the Cluster know each other', FORMED_MS, async () => {
      const known = await Promise.all(this.servers.map((server) => server.ask(['CLUSTER', 'NODES'])));
      return known.every((text) => {
        const nodes = String(text)
          .split('\n')
          .filter((line) => line !== '');
        return nodes.length === this.servers.length && !nodes.some((line) => /handshake|noaddr/.test(line));
      });
    });
  }

  async #replicasFollow(): Promise<void> {
    const replicas = this.servers.slice(this.masterCount);
    await waitFor('all replicas of the Cluster follow their masters', FORMED_MS, async () => {
      const links = await Promise.all(replicas.map((replica) => replica.info('master_link_status')));
      return links.every((link) => link === 'up');
    });
    // All nodes must know the replicas, so that one of them can be elected.
    await waitFor('all nodes of the Cluster know the replicas', FORMED_MS, async () => {
      const known = await Promise.all(this.servers.map((server) => server.ask(['CLUSTER', 'NODES'])));
      return known.every((text) => (String(text).match(/[ ,]slave /g)?.length ?? 0) === replicas.length);
    });
  }
}

function startNode({ args = [], nodeTimeoutMs = 1_000, appendonly = false }: RedisClusterOptions) {
  return RedisServer.start({
    appendonly,
    args: [
      ...['--cluster-enabled', 'yes', '--cluster-node-timeout', String(nodeTimeoutMs)],
      ...['--cluster-replica-validity-factor', '0', '--repl-diskless-sync-delay', '0'],
      ...args,
    ],
  });
}

/** A line of CLUSTER NODES: id, address, flags, master, ping, pong, epoch, link, slots … */
function holds(line: string, slot: number): boolean {
  const [, , flags = '', , , , , , ...slots] = line.split(' ');
  if (!flags.includes('master') || flags.includes('fail')) return false;
  return slots.some((range) => {
    const [from, to = from] = range.split('-').map(Number);
    return from !== undefined && to !== undefined && from <= slot && slot <= to;
  });
}

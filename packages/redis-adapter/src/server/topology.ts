import type { Writable } from 'node:stream';
import type { ChainableCommander, Cluster, Redis } from 'ioredis';

/** For each command its error, or its answer. */
type Answers = [error: Error | null, result: unknown][];
/** Takes the commands of a transaction. */
type Sender = Pick<Redis | ChainableCommander, 'msetnx' | 'evalsha' | 'hset' | 'hdel'>;
/** Error of a transaction that was refused because of one of its commands. */
type Refused = Error & { readonly previousErrors?: readonly Error[] };

/** For a subscriber. The adapter repeats subscriptions itself: the client would not report a failed one. */
export const SUBSCRIBER = { maxRetriesPerRequest: null, autoResubscribe: false } as const;

/** Where the keys are: on one server, or on the nodes of a Cluster. Chosen once, when the storage is opened. */
export interface Topology {
  readonly client: Redis | Cluster;
  /** Number of the database. */
  readonly database: number;
  /**
   * Whether one step may have keys of several tenants, and the shared ones. Otherwise effects on shared keys are
   * steps of their own, after that of the tenant, and may be lost.
   */
  readonly stepsSpanTenants: boolean;
  /**
   * Whether messages of a log's channel carry its entries: they do not where several servers publish on a
   * channel.
   */
  readonly messagesCarryEntries: boolean;
  /** Poll interval of a follower without a wakeup. */
  readonly pollMs: number;
  /** Whether an owned client ends each command after its timeout. One that looks for nodes does not. */
  readonly timesOut: boolean;
  /** Settings of the client. */
  readonly settings: readonly object[];
  /** Servers that take writes. */
  masters(): readonly Redis[];
  /** A client of its own, for subscriptions. */
  subscriber(): Redis | Cluster;
  /** Selects the database, unless there is but one. */
  select(): Promise<unknown> | undefined;
  /** Keys of a step of one tenant. */
  keysOf(own: readonly string[], shared: string): readonly string[];
  /** Keys of a step that names those of its tenants in its arguments. */
  keysOfMany(own: readonly string[], shared: string): readonly string[];
  /** Calls `listener` when the connection to one of several nodes is lost, until the returned function is called. */
  onNodeLost(listener: () => void): () => void;
  /** Runs commands as a transaction. */
  inOneStep(commands: (sender: Sender) => readonly unknown[]): Promise<Answers | null>;
}

export function topologyOf(client: Redis | Cluster): Topology {
  // Not by its class: the application may have another copy of ioredis.
  return isCluster(client) ? new ClusterNodes(client) : new OneServer(client);
}

function isCluster(client: Redis | Cluster): client is Cluster {
  return client.isCluster;
}

/** A single server, or the one behind Sentinel: a step may use all keys. */
class OneServer implements Topology {
  readonly database: number;
  readonly stepsSpanTenants = true;
  readonly messagesCarryEntries = true;
  readonly pollMs = 20_000;
  readonly timesOut = true;
  readonly settings: readonly object[];
  /** Whether commands that are sent together arrive in order. */
  readonly #isInOrder: boolean;

  constructor(readonly client: Redis) {
    this.database = client.options.db ?? 0;
    this.settings = [client.options];
    this.#isInOrder = client.options.enableAutoPipelining !== true;
  }

  masters(): readonly Redis[] {
    return [this.client];
  }

  subscriber(): Redis {
    return this.client.duplicate(SUBSCRIBER);
  }

  select(): Promise<unknown> | undefined {
    return this.database === 0 ? undefined : this.client.select(this.database);
  }

  keysOf(own: readonly string[], shared: string): readonly string[] {
    return [...own, shared];
  }

  keysOfMany(_own: readonly string[], shared: string): readonly string[] {
    return [shared];
  }

  onNodeLost(): () => void {
    return () => {};
  }

  /** The commands are sent directly, which costs much less than the client's pipeline. */
  async inOneStep(commands: (sender: Sender) => readonly unknown[]): Promise<Answers | null> {
    const { client } = this;
    if (!this.#isInOrder) return inPipeline(client, commands);
    let refusal: unknown;
    const done = together(client, () => {
      for (const queued of [client.multi({ pipeline: false }), ...commands(client)]) {
        (queued as Promise<unknown>).catch((error: unknown) => {
          refusal ??= error;
        });
      }
      return client.exec();
    });
    return done.catch((error: unknown) => Promise.reject(refusal ?? error));
  }
}

/** A Cluster: all keys of a tenant are on one node, the shared ones may be on another. */
class ClusterNodes implements Topology {
  readonly database = 0;
  readonly stepsSpanTenants = false;
  readonly messagesCarryEntries = false;
  /** A subscription may move to another node without notice. */
  readonly pollMs = 2_000;
  readonly timesOut = false;
  readonly settings: readonly object[];

  constructor(readonly client: Cluster) {
    this.settings = [client.options, client.options.redisOptions ?? {}];
  }

  masters(): readonly Redis[] {
    return this.client.nodes('master');
  }

  subscriber(): Cluster {
    return this.client.duplicate();
  }

  select(): undefined {}

  keysOf(own: readonly string[]): readonly string[] {
    return own;
  }

  keysOfMany(own: readonly string[]): readonly string[] {
    return own;
  }

  onNodeLost(listener: () => void): () => void {
    const nodes = new Set<Redis>();
    const onNode = (node: Redis) => nodes.add(node.on('close', listener));
    // A borrowed client may have connected before.
    for (const node of this.client.nodes()) onNode(node);
    this.client.on('+node', onNode);
    return () => {
      this.client.off('+node', onNode);
      for (const node of nodes) node.off('close', listener);
    };
  }

  inOneStep(commands: (sender: Sender) => readonly unknown[]): Promise<Answers | null> {
    return inPipeline(this.client, commands);
  }
}

function inPipeline(
  client: Redis | Cluster,
  commands: (sender: Sender) => readonly unknown[],
): Promise<Answers | null> {
  const step = client.multi();
  commands(step);
  return step.exec().catch((error: Refused) => Promise.reject(error.previousErrors?.[0] ?? error));
}

/**
 * Sends the commands of `send` in one write, so that the server wakes up once. Without a connection nothing
 * is held back.
 */
function together<T>({ stream }: { readonly stream?: Writable }, send: () => T): T {
  stream?.cork();
  try {
    return send();
  } finally {
    stream?.uncork();
  }
}

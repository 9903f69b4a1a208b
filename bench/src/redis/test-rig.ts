import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { RedisCluster, RedisServer } from '@agent-orchestrator/test-servers';
import type { Order } from './competitor.js';
import type { Introduction, Request, Response, Run, Side } from './measured-process.js';
import { busyUs, type Cores, pin } from './pinning.js';
import { readStats } from './redis-stats.js';

const PROGRAM = fileURLToPath(new URL('measured-process.js', import.meta.url));
// A rewrite during a run would be measured with it.
const SERVER_ARGS = ['--auto-aof-rewrite-percentage', '0'];
// A node without peers does not know its address, and announces none to clients.
const NODE_ARGS = [...SERVER_ARGS, '--cluster-announce-ip', '127.0.0.1'];

/** A longer silence counts as a hang. */
const ANSWER_MS = 300_000;

export interface ServerKind {
  readonly appendonly?: boolean;
  /** A Cluster of one node: as on any Cluster, each storage step is on one tenant. */
  readonly cluster?: boolean;
}

/** Cost of an order per task; rates are tasks per second. */
export interface Measured {
  readonly tasks: number;
  readonly perSecond: number;
  readonly redisUs: number;
  readonly nodeUs: number;
  readonly commands: number;
  readonly scripts: number;
  /** Per script call, not per task. */
  readonly scriptUs: number;
  /** Bytes of Redis per task afterwards, beyond those of an empty server. */
  readonly bytes: number;
  /** Share of the two cores' time used by other programs: the higher, the less a rate means. */
  readonly others: number;
  /** Latency from submission to result, ms. */
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** One side of a comparison: a Redis of its own, and a process that loads it. */
export class TestRig implements AsyncDisposable {
  #emptyMemory = Number.NaN;

  private constructor(
    private readonly server: RedisServer,
    private readonly child: ChildProcess,
    private readonly cores: Cores,
    private readonly stopServer: () => Promise<void>,
  ) {}

  static async open(side: Side, kind: ServerKind, cores: Cores): Promise<TestRig> {
    const appendonly = kind.appendonly === true;
    const cluster =
      kind.cluster === true
        ? await RedisCluster.start({ masters: 1, appendonly, args: NODE_ARGS })
        : undefined;
    const server = cluster?.servers[0] ?? (await RedisServer.start({ appendonly, args: SERVER_ARGS }));
    await pin(server.pid, cores.redis);
    const target = cluster ? { nodes: cluster.nodes } : server.url;
    const introduction: Introduction = { side, target };
    const child = fork(PROGRAM, [JSON.stringify(introduction)], { execArgv: ['--expose-gc'] });
    await once(child, 'spawn');
    await pin(child.pid ?? 0, cores.node);
    return new TestRig(server, child, cores, () => (cluster ?? server).stop());
  }

  /** Deletes all stored data. */
  async empty(): Promise<void> {
    await this.server.ask(['FLUSHALL', 'SYNC'], { timeoutMs: 60_000 });
    this.#emptyMemory = (await readStats(this.server)).usedMemory;
  }

  async carryOut(order: Order, profile?: string): Promise<Measured> {
    await this.#ask({ ask: 'prepare', order });
    const before = await readStats(this.server);
    const busyBefore = await busyUs(this.cores);
    const { run } = await this.#ask({ ask: 'run', ...(profile !== undefined && { profile }) });
    const busy = (await busyUs(this.cores)) - busyBefore;
    const after = await readStats(this.server);
    await this.#ask({ ask: 'close' });
    if (!run) throw new Error(`expected what "${order.work}" has cost, got nothing`);
    const { usedMemory } = await readStats(this.server);
    const { tasks } = order;
    const redisUs = after.cpuUs - before.cpuUs;
    const others = Math.max(0, (busy - redisUs - run.cpuUs) / (2 * run.wallMs * 1_000));
    const latencies = run.latencies.toSorted((a, b) => a - b);
    const at = (part: number) => latencies[Math.floor(latencies.length * part)] ?? Number.NaN;
    const scripts = after.scripts - before.scripts;
    return {
      tasks,
      perSecond: (tasks / run.wallMs) * 1_000,
      redisUs: redisUs / tasks,
      nodeUs: run.cpuUs / tasks,
      commands: (after.commands - before.commands) / tasks,
      scripts: scripts / tasks,
      scriptUs: (after.scriptUs - before.scriptUs) / scripts,
      bytes: (usedMemory - this.#emptyMemory) / tasks,
      others,
      p50Ms: at(0.5),
      p99Ms: at(0.99),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      this.child.kill();
      await once(this.child, 'exit');
    }
    await this.stopServer();
  }

  async #ask(request: Request): Promise<{ readonly run?: Run }> {
    const { child } = this;
    const settled = new AbortController();
    const signal = AbortSignal.any([settled.signal, AbortSignal.timeout(ANSWER_MS)]);
    const answered = once(child, 'message', { signal });
    const ended = once(child, 'exit', { signal }).then(([code]) => {
      throw new Error(`the measured process ended with ${code} while it was to ${request.ask}`);
    });
    child.send(request);
    try {
      const [response] = (await Promise.race([answered, ended])) as [Response];
      if ('error' in response) throw new Error(response.error);
      return response;
    } finally {
      settled.abort();
      await Promise.allSettled([answered, ended]);
    }
  }
}

import type { ServiceCall, Task } from '@agent-orchestrator/core';
import { SeededRandom } from '../../packages/core/test/chaos/seeded-random.js';
import { DisorderingProxy } from './disordering-proxy.js';
import { EventCollector } from './event-collector.js';
import { given, KillableHub, until } from './killable-hub.js';
import { ReportTap } from './report-tap.js';
import { byNotifier, byRawFrames, type ReportingWay } from './reporting-ways.js';
import { reply, ScriptedService } from './scripted-service.js';
import { planTry, type TryPlan } from './service-plans.js';

/** One try as the service had it. */
export interface HadTry {
  readonly call: ServiceCall;
  readonly job: string;
  readonly plan: TryPlan;
  readonly at: number;
  /** When it was answered. */
  answeredAt: number;
}

export interface DisorderedRun {
  readonly taskIds: readonly string[];
  readonly tasks: ReadonlyMap<string, Task>;
  /** By task, in the order in which they came. */
  readonly tries: ReadonlyMap<string, readonly HadTry[]>;
  readonly cancelled: ReadonlySet<string>;
  readonly tap: Pick<ReportTap, 'outcomes' | 'held'>;
  readonly client: Pick<EventCollector, 'wrong' | 'gaps' | 'count' | 'finals'>;
  readonly proxy: DisorderingProxy;
  /** What the hub said to each frame, by outcome. */
  readonly acks: ReadonlyMap<string, number>;
  /** Tasks of frames that nobody knew. */
  readonly unknown: ReadonlySet<string>;
  readonly unacknowledged: number;
  readonly ms: number;
}

export const SILENCE_MS = 2_000;
const NOTIFIERS = 4;
const BATCH = 500;
/** Beyond this something is stuck, and the run ends to say what. */
const STUCK_MS = 240_000;

/** Runs so many tasks through a service that is called over HTTP and reports through a line that disorders everything. */
export async function runDisordered(seed: string, count: number): Promise<DisorderedRun> {
  const began = performance.now();
  const random = new SeededRandom(`${seed}/line`);
  const hub = await KillableHub.start({
    limits: { maxEvents: 1_000_000 },
    orchestrator: {
      random: { uuid: () => crypto.randomUUID(), fraction: () => random.fraction() * 0.3 },
    },
  });
  const tap = new ReportTap(hub.storage);
  const proxy = await DisorderingProxy.to(hub.url, { random, mostCopies: 5, window: 20 });
  const acks = new AckTable(proxy);
  const ways = await reportingWays(proxy.url);
  const service = new PlannedService(seed, hub, tap, ways);
  const scripted = await ScriptedService.start(({ call }, response) => service.serve(call, response));
  hub.orchestrator.service('query', { url: scripted.url(), silenceMs: SILENCE_MS, concurrency: 256 });
  const client = await new EventCollector(hub.url).start();
  const taskIds = await submit(hub, count);
  const stuck = AbortSignal.timeout(STUCK_MS);
  await Promise.race([
    client.until(() => client.finals.size >= count),
    new Promise((resolve) => stuck.addEventListener('abort', resolve)),
  ]);
  const pending = () => ways.reduce((sum, way) => sum + way.pending(), 0);
  await until(() => pending() === 0 || stuck.aborted);
  const tasks = new Map<string, Task>();
  for (const id of taskIds) tasks.set(id, await hub.acme.tasks.get(id));
  const unknown = new Set([...acks.unknownJobs].map((job) => service.taskOf(job)));
  return {
    ...{ taskIds, tasks, tap, client, proxy, unknown },
    tries: service.tries,
    cancelled: service.cancelled,
    acks: acks.counts,
    unacknowledged: pending(),
    ms: performance.now() - began,
  };
}

async function reportingWays(url: string): Promise<readonly ReportingWay[]> {
  const notifiers = Array.from({ length: NOTIFIERS }, () => byNotifier(url));
  return [...notifiers, await byRawFrames(url, true), await byRawFrames(url, false)];
}

async function submit(hub: KillableHub, count: number): Promise<string[]> {
  const ids: string[] = [];
  for (let at = 0; at < count; at += BATCH) {
    const requests = Array.from({ length: Math.min(BATCH, count - at) }, (_, n) => ({
      type: 'query',
      payload: { n: at + n },
      max_attempts: 1,
    }));
    const { body } = await hub.ask('POST', '/v1/batch', { requests });
    for (const item of body['items'] as { task_id: string }[]) ids.push(item.task_id);
  }
  return ids;
}

/** The service: does with each try what is planned for it. */
class PlannedService {
  readonly tries = new Map<string, HadTry[]>();
  readonly cancelled = new Set<string>();
  readonly #byCall = new Map<string, HadTry>();
  readonly #taskOfJob = new Map<string, string>();

  constructor(
    private readonly seed: string,
    private readonly hub: KillableHub,
    private readonly tap: ReportTap,
    private readonly ways: readonly ReportingWay[],
  ) {}

  taskOf(job: string): string {
    return this.#taskOfJob.get(job) ?? job;
  }

  async serve(call: ServiceCall, response: Parameters<typeof reply>[0]): Promise<void> {
    const known = this.#byCall.get(call.call_id);
    if (known) {
      reply(response, 202, { job_id: known.job });
      return;
    }
    const { n } = call.input as { n: number };
    const plan = planTry(this.seed, n, call.attempt);
    const had: HadTry = { call, job: `job-${n}-${call.attempt}`, plan, at: performance.now(), answeredAt: 0 };
    this.#byCall.set(call.call_id, had);
    this.#taskOfJob.set(had.job, call.task_id);
    const before = this.tries.get(call.task_id) ?? [];
    this.tries.set(call.task_id, [...before, had]);
    this.#reportLate(before.at(-1), n);
    if (plan.early) {
      this.#report(had, n);
      await this.tap.reached(had.job);
    }
    had.answeredAt = performance.now();
    if (plan.kind === 'answers at once')
      reply(response, 200, { result: `result ${n}.${call.attempt} direct` });
    else reply(response, 202, { job_id: had.job });
    if (!plan.early) this.#report(had, n);
  }

  #reportLate(had: HadTry | undefined, n: number): void {
    const { call, job, plan } = had ?? {};
    if (call && job !== undefined && plan?.afterthought)
      this.#way(n).tell(call, job, plan, plan.afterthought);
  }

  /** All about a task goes the same way. */
  #way(n: number): ReportingWay {
    return given(this.ways[n % this.ways.length]);
  }

  #report({ call, job, plan }: HadTry, n: number): void {
    const way = this.#way(n);
    for (const [index, word] of plan.words.entries()) {
      if (plan.cancelBefore === index) this.#cancel(call.task_id);
      way.tell(call, job, plan, word);
    }
    if (plan.cancelBefore === plan.words.length) this.#cancel(call.task_id);
  }

  #cancel(taskId: string): void {
    this.cancelled.add(taskId);
    void this.hub.ask('POST', `/v1/tasks/${taskId}/cancel`, { reason: 'changed my mind' });
  }
}

/** Counts what the hub says to frames, as it says it. */
class AckTable {
  readonly counts = new Map<string, number>();
  readonly unknownJobs = new Set<string>();
  readonly #jobs = new Map<string, string>();

  constructor(proxy: DisorderingProxy) {
    proxy.asked = (text) => {
      const { message_id: id, task_id: job } = JSON.parse(text) as { message_id?: string; task_id?: string };
      if (id !== undefined && job !== undefined) this.#jobs.set(id, job);
    };
    proxy.heard = (text) => {
      const frame = JSON.parse(text) as { event?: string; outcome?: string; message_id?: string };
      if (frame.event !== 'ack') return;
      const { outcome = 'none', message_id: id = '' } = frame;
      this.counts.set(outcome, (this.counts.get(outcome) ?? 0) + 1);
      if (outcome === 'unknown_task') this.unknownJobs.add(this.#jobs.get(id) ?? id);
    };
  }
}

import type { ServiceCall, Task } from '@agent-orchestrator/core';
import { SeededRandom } from '../../packages/core/test/chaos/seeded-random.js';
import { DisorderingProxy } from './disordering-proxy.js';
import { EventCollector } from './event-collector.js';
import { given, KillableHub, until } from './killable-hub.js';
import { ReportTap } from './report-tap.js';
import { byNotifier, byRawFrames, type Reporter } from './reporters.js';
import { reply, ScriptedService } from './scripted-service.js';
import { planTry, type TryPlan } from './service-plans.js';

/** One try, as the service received it. */
export interface ServiceTry {
  readonly call: ServiceCall;
  readonly job: string;
  readonly plan: TryPlan;
  readonly at: number;
  /** Time of its answer. */
  answeredAt: number;
}

export interface DisorderedRun {
  readonly taskIds: readonly string[];
  readonly tasks: ReadonlyMap<string, Task>;
  /** By task, in order of arrival. */
  readonly tries: ReadonlyMap<string, readonly ServiceTry[]>;
  readonly cancelled: ReadonlySet<string>;
  readonly tap: Pick<ReportTap, 'outcomes' | 'held'>;
  readonly client: Pick<EventCollector, 'violations' | 'gaps' | 'count' | 'finals'>;
  readonly proxy: DisorderingProxy;
  /** Acks of the hub, by outcome. */
  readonly acks: ReadonlyMap<string, number>;
  /** Tasks of frames with the outcome `unknown_task`. */
  readonly unknown: ReadonlySet<string>;
  readonly unacknowledged: number;
  readonly ms: number;
}

export const SILENCE_MS = 2_000;
const NOTIFIERS = 4;
const BATCH = 500;
/** Beyond this the run is stuck, and ends with a report. */
const STUCK_MS = 240_000;

/**
 * Runs tasks through a service that is called over HTTP and reports through a proxy that reorders and repeats
 * frames.
 */
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
  const proxy = await DisorderingProxy.to(hub.url, { random, maxCopies: 5, window: 20 });
  const acks = new AckTable(proxy);
  const reporters = await reportersOf(proxy.url);
  const service = new PlannedService(seed, hub, tap, reporters);
  const scripted = await ScriptedService.start(({ call }, response) => service.serve(call, response));
  hub.orchestrator.service('query', { url: scripted.url(), silenceMs: SILENCE_MS, concurrency: 256 });
  const client = await new EventCollector(hub.url).start();
  const taskIds = await submit(hub, count);
  const stuck = AbortSignal.timeout(STUCK_MS);
  await Promise.race([
    client.until(() => client.finals.size >= count),
    new Promise((resolve) => stuck.addEventListener('abort', resolve)),
  ]);
  const pending = () => reporters.reduce((sum, reporter) => sum + reporter.pending(), 0);
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

async function reportersOf(url: string): Promise<readonly Reporter[]> {
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

/** The service: follows the plan of each try. */
class PlannedService {
  readonly tries = new Map<string, ServiceTry[]>();
  readonly cancelled = new Set<string>();
  readonly #byCall = new Map<string, ServiceTry>();
  readonly #taskOfJob = new Map<string, string>();

  constructor(
    private readonly seed: string,
    private readonly hub: KillableHub,
    private readonly tap: ReportTap,
    private readonly reporters: readonly Reporter[],
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
    const had: ServiceTry = {
      call,
      job: `job-${n}-${call.attempt}`,
      plan,
      at: performance.now(),
      answeredAt: 0,
    };
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

  #reportLate(had: ServiceTry | undefined, n: number): void {
    const { call, job, plan } = had ?? {};
    if (call && job !== undefined && plan?.lateNotice)
      this.#reporter(n).report(call, job, plan, plan.lateNotice);
  }

  /** All reports on a task use the same reporter. */
  #reporter(n: number): Reporter {
    return given(this.reporters[n % this.reporters.length]);
  }

  #report({ call, job, plan }: ServiceTry, n: number): void {
    const reporter = this.#reporter(n);
    for (const [index, notice] of plan.notices.entries()) {
      if (plan.cancelBefore === index) this.#cancel(call.task_id);
      reporter.report(call, job, plan, notice);
    }
    if (plan.cancelBefore === plan.notices.length) this.#cancel(call.task_id);
  }

  #cancel(taskId: string): void {
    this.cancelled.add(taskId);
    void this.hub.ask('POST', `/v1/tasks/${taskId}/cancel`, { reason: 'changed my mind' });
  }
}

/** Counts the acks of the hub before the proxy disorders them. */
class AckTable {
  readonly counts = new Map<string, number>();
  readonly unknownJobs = new Set<string>();
  readonly #jobs = new Map<string, string>();

  constructor(proxy: DisorderingProxy) {
    proxy.onServiceFrame = (text) => {
      const { message_id: id, task_id: job } = JSON.parse(text) as { message_id?: string; task_id?: string };
      if (id !== undefined && job !== undefined) this.#jobs.set(id, job);
    };
    proxy.onHubFrame = (text) => {
      const frame = JSON.parse(text) as { event?: string; outcome?: string; message_id?: string };
      if (frame.event !== 'ack') return;
      const { outcome = 'none', message_id: id = '' } = frame;
      this.counts.set(outcome, (this.counts.get(outcome) ?? 0) + 1);
      if (outcome === 'unknown_task') this.unknownJobs.add(this.#jobs.get(id) ?? id);
    };
  }
}

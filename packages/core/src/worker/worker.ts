import { aborted } from '../runtime/abort.js';
import { atMost, type Clock } from '../runtime/clock.js';
import type { WorkerStats } from './worker-stats.js';
import type { Logger } from '../runtime/logger.js';
import { messageOf } from '../protocol/thrown.js';
import type { Wakeup } from '../storage/wakeups.js';
import type { Claim, Settlement } from '../storage/task-queue.js';
import type { WorkflowCatalog } from '../workflows/catalog.js';
import { endRunSpan, startRunSpan } from '../tracing/task-spans.js';
import { RunContext } from '../workflows/run-context.js';
import { failureOf } from '../workflows/run-failure.js';
import type { RunOwner, RunPorts } from '../workflows/run-ports.js';
import { ShortLivedMap } from '../runtime/short-lived-map.js';
import { LeaseTerm } from '../workflows/lease-term.js';
import { type RunEnd, WorkflowRun } from '../workflows/workflow-run.js';
import { ClaimPump } from './claim-pump.js';
import { HeldRun } from './held-run.js';
import { LeaseKeeper } from './lease-keeper.js';
import type { NextClaim } from './prefetched-claims.js';
import { Loop } from '../runtime/background-loop.js';
import { Settler } from './settler.js';

export interface WorkerSettings {
  /** Maximum of concurrently running tasks, parked ones excluded. Default 100. */
  readonly concurrency: number;
  readonly leaseMs: number;
  readonly renewMs: number;
  /** Interval of claims without a wakeup, ms. */
  readonly pollMs: number;
  /** Maximum of tasks claimed ahead of free slots. */
  readonly prefetch: number;
}

interface Grace {
  readonly graceMs: number;
  /** Ends the grace period early. */
  readonly signal?: AbortSignal | undefined;
}

/** Maximum of idle runs kept in memory, per slot. */
const IDLE_RUNS_PER_SLOT = 10;
/** Time limit for a stopping worker to release its tasks and leave the directory: the storage may be unavailable. */
const HAND_BACK_MS = 2_000;
/** Maximum of finished runs with an unanswered settlement, per slot; and the least maximum. */
const SETTLING_PER_SLOT = 2;
const MIN_MAX_SETTLING = 64;

/**
 * Claims tasks, runs their workflows, settles them. States: stopped, running (`start`), draining (`stop`: claims no more,
 * waits for running tasks up to the grace period, releases the rest). A stop ends even if the storage is unavailable: tasks
 * that can't be released then are claimed by other workers once their lease expires.
 */
export class Worker {
  readonly workerId: string;
  readonly #runs = new ShortLivedMap<string, HeldRun>();
  readonly #keeper: LeaseKeeper;
  readonly #loop = new Loop((signal) => this.#work(signal));
  /** Runs with only waiting branches: they occupy no slot. */
  #idleRuns = 0;
  /** Finished runs being settled: they occupy no slot either. */
  #settling = 0;
  #grace: Grace = { graceMs: 0 };
  readonly #claims: ClaimPump;
  readonly #settler: Settler;
  /** Aborted when a stop has ended: no more retries. */
  #stopped = new AbortController();
  readonly #ended: Record<RunEnd['kind'], number> = {
    completed: 0,
    failed: 0,
    retry: 0,
    parked: 0,
    released: 0,
    cancelled: 0,
    abandoned: 0,
  };

  readonly #owner: RunOwner = {
    mayIdle: () => this.#idleRuns < this.settings.concurrency * IDLE_RUNS_PER_SLOT,
    onIdle: (idle) => {
      this.#idleRuns += idle ? 1 : -1;
      this.#fill();
      if (idle) this.#claims.request();
    },
  };

  constructor(
    private readonly ports: RunPorts & { readonly catalog: WorkflowCatalog; readonly logger: Logger },
    private readonly settings: WorkerSettings,
  ) {
    this.workerId = ports.random.uuid();
    const { workerId } = this;
    this.#claims = new ClaimPump(
      ports,
      { workerId, ...settings },
      {
        runs: () => ports.catalog.runnables(),
        readsMessages: () => [...ports.readsMessages],
        onClaims: () => this.#fill(),
        release: (claim) => void this.#settle(claim, { kind: 'released' }),
      },
    );
    this.#settler = new Settler(ports, { workerId, leaseMs: settings.leaseMs });
    this.#keeper = new LeaseKeeper(ports, settings, {
      held: () => this.#runs.values().map(({ run }) => run),
      announce: () => this.announce(),
    });
  }

  /** Time since the last answered claim, ms. */
  get idleForMs(): number {
    return this.#clock.now() - this.#claims.lastAnswerAt;
  }

  /** Whether every slot is occupied: then no claims are sent. */
  get full(): boolean {
    return this.#free <= 0;
  }

  get stats(): WorkerStats {
    return {
      slots: this.settings.concurrency,
      running: this.#runs.size,
      idle: this.#idleRuns,
      ...this.#claims.stats,
      runsEnded: { ...this.#ended },
      sinceClaimMs: this.idleForMs,
    };
  }

  get #clock(): Clock {
    return this.ports.clock;
  }

  async start(): Promise<void> {
    if (this.#loop.running) return;
    await this.announce();
    this.#claims.reset();
    this.#loop.start();
  }

  /** Stops claiming, waits up to `graceMs` for running tasks, releases the rest. */
  async stop(grace: Grace): Promise<void> {
    this.#grace = grace;
    await this.#loop.stop();
  }

  async announce(): Promise<void> {
    await this.ports.storage.workers.announce({
      workerId: this.workerId,
      runs: this.ports.catalog.runnables(),
      leaseMs: this.settings.leaseMs,
    });
  }

  #onWakeup(wakeup: Wakeup): void {
    this.#claims.onWakeup(wakeup);
    if (wakeup.kind === 'task') this.#runs.get(runKey(wakeup.tenantId, wakeup.taskId))?.run.onWakeup();
  }

  async #work(signal: AbortSignal): Promise<void> {
    const stopped = (this.#stopped = new AbortController());
    const graceOver = new AbortController();
    const unsubscribe = this.ports.storage.wakeups.subscribe((wakeup) => this.#onWakeup(wakeup));
    this.#keeper.start();
    const claiming = this.#claims.run(signal, graceOver.signal);
    await aborted(signal);
    await this.#drain(claiming, this.#grace);
    graceOver.abort();
    this.#claims.stop();
    unsubscribe();
    await atMost(this.#clock, HAND_BACK_MS, this.#handBack());
    stopped.abort();
  }

  async #drain(claiming: Promise<void>, { graceMs, signal }: Grace): Promise<void> {
    const ended = claiming.then(() => {
      for (const { run } of this.#runs.values()) run.parkNow();
      return Promise.all(this.#runs.values().map(({ done }) => done));
    });
    await atMost(this.#clock, graceMs, ended, signal);
  }

  async #handBack(): Promise<void> {
    const kept = this.#keeper.stop();
    await Promise.all(this.#runs.values().map((held) => this.#release(held.run)));
    await kept;
    await this.ports.storage.workers
      .leave({ workerId: this.workerId })
      .catch((error: unknown) => this.#report('leave', error));
  }

  /** Starts claimed tasks while slots are free. */
  #fill(): void {
    for (let next = this.#claims.next(this.#free); next; next = this.#claims.next(this.#free))
      this.#begin(next);
  }

  get #free(): number {
    const { concurrency } = this.settings;
    if (this.#settling >= Math.max(MIN_MAX_SETTLING, concurrency * SETTLING_PER_SLOT)) return 0;
    return concurrency - (this.#runs.size - this.#idleRuns - this.#settling);
  }

  #begin({ claim, notified, leasedUntil }: NextClaim): void {
    const { task } = claim;
    const run = new WorkflowRun(claim, this.ports, this.#owner, new LeaseTerm(leasedUntil));
    const key = runKey(task.tenant_id, task.task_id);
    // Claimed again by the worker that lost it: further writes of the first run have no effect.
    this.#runs.get(key)?.run.abandon();
    const held = new HeldRun(run);
    this.#runs.set(key, held);
    held.done = this.#execute(key, held);
    if (notified) run.onWakeup();
  }

  async #execute(key: string, held: HeldRun): Promise<void> {
    const { run } = held;
    const { task, version } = run.claim;
    const fn = this.ports.catalog.find(task.type, version);
    const began = this.#clock.now();
    try {
      // The task may have crashed a worker before: from here on, a lost lease counts as a lost worker.
      const hasRun =
        task.attempt > 1 || run.claim.steps.length > 0 || run.claim.journalRev > 0 || run.claim.unread;
      if (run.claim.prefetched && hasRun) await this.#keeper.reportBegun(run);
      if (!fn) {
        this.#ended.released += 1;
        await this.#release(run);
        return;
      }
      if (!(await run.load())) {
        this.#ended.abandoned += 1;
        return;
      }
      const context = new RunContext(run, this.ports);
      const span = startRunSpan(run.claim, began);
      const end = await run.run(span ? () => span.run(() => context.begin(fn)) : () => context.begin(fn));
      endRunSpan(span, end);
      this.#ended[end.kind] += 1;
      this.#claims.recordDuration(this.#clock.now() - began);
      if (end.kind === 'abandoned' || end.kind === 'parked') return;
      // A finished run frees its slot: the next one starts while this one is settled.
      this.#settling += 1;
      this.#onFreed();
      await this.#settle(run.claim, end);
      this.#settling -= 1;
    } catch (error) {
      // Unexpected. The task fails with the error instead of staying leased.
      const { error: shown, diagnostic } = failureOf(error, task.type, this.ports.exposeErrors);
      await this.#settle(run.claim, { kind: 'failed', error: shown, diagnostic });
    } finally {
      if (this.#runs.get(key) === held) this.#runs.delete(key);
      this.#claims.ended(run.claim);
      this.#onFreed();
    }
  }

  /** A slot may have become free. */
  #onFreed(): void {
    this.#fill();
    this.#claims.request();
  }

  /** Never rejects: a task that can't be settled is claimed again once its lease expires. */
  #settle(claim: Claim, settlement: Settlement): Promise<void> {
    return this.#settler.settle(claim, settlement, this.#stopped.signal);
  }

  async #release(run: WorkflowRun): Promise<void> {
    run.abandon();
    await this.#settle(run.claim, { kind: 'released' });
  }

  #report(what: string, error: unknown): void {
    this.ports.logger.error(`worker: ${what} failed`, { workerId: this.workerId, error: messageOf(error) });
  }
}

function runKey(tenantId: string, taskId: string): string {
  return `${tenantId}/${taskId}`;
}

import { atMost, type Clock, pause } from '../runtime/clock.js';
import type { WorkerStats } from './worker-stats.js';
import type { Logger } from '../runtime/logger.js';
import { messageOf } from '../protocol/thrown.js';
import type { Wakeup } from '../storage/wakeups.js';
import type { Claim, Settlement } from '../storage/task-queue.js';
import type { WorkflowCatalog } from '../workflows/catalog.js';
import { RunContext } from '../workflows/run-context.js';
import { failureOf } from '../workflows/run-failure.js';
import type { RunOwner, RunPorts } from '../workflows/run-ports.js';
import { ShortLivedMap } from '../runtime/short-lived-map.js';
import { type RunEnd, WorkflowRun } from '../workflows/workflow-run.js';
import { ClaimCaller } from './claim-caller.js';
import { PrefetchedClaims } from './prefetched-claims.js';
import { type ClaimRequest, ClaimsInFlight } from './claims-in-flight.js';
import { HeldRun } from './held-run.js';
import { LeaseKeeper } from './lease-keeper.js';
import { Loop } from '../runtime/background-loop.js';
import { nextTurn } from '../runtime/next-turn.js';
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
const NOOP = () => {};
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
  #wakeupReceived = false;
  /** The last claim emptied the queue: nothing to claim until the next `ready` wakeup. */
  #drained = false;
  /** Runs of tasks that may have crashed a worker: the next such task waits for their end, without a wakeup. */
  #repeated = 0;
  #wake: () => void = NOOP;
  #scheduleClaims: () => void = NOOP;
  #cancelPoll: (() => void) | undefined;
  /** Runs with only waiting branches: they occupy no slot. */
  #idleRuns = 0;
  /** Finished runs being settled: they occupy no slot either. */
  #settling = 0;
  readonly #prefetched: PrefetchedClaims;
  #grace: Grace = { graceMs: 0 };
  readonly #caller: ClaimCaller;
  readonly #claims: ClaimsInFlight;
  readonly #settler: Settler;
  /** Aborted when a stop begins. */
  #stopping = new AbortController().signal;
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
      if (idle) this.#pump();
    },
  };

  constructor(
    private readonly ports: RunPorts & { readonly catalog: WorkflowCatalog; readonly logger: Logger },
    private readonly settings: WorkerSettings,
  ) {
    this.workerId = ports.random.uuid();
    this.#prefetched = new PrefetchedClaims(settings.prefetch, settings.concurrency);
    this.#caller = new ClaimCaller(ports, {
      workerId: this.workerId,
      leaseMs: settings.leaseMs,
      waitMs: settings.pollMs,
      runs: () => ports.catalog.runnables(),
    });
    const maxTasks = settings.concurrency + settings.prefetch;
    this.#claims = new ClaimsInFlight(this.workerId, maxTasks, (request) => this.#claim(request));
    this.#settler = new Settler(ports, { workerId: this.workerId, leaseMs: settings.leaseMs });
    this.#keeper = new LeaseKeeper(ports, settings, {
      held: () => this.#runs.values().map(({ run }) => run),
      announce: () => this.announce(),
    });
  }

  /** Time since the last answered claim, ms. */
  get idleForMs(): number {
    return this.#clock.now() - this.#caller.lastAnswerAt;
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
      prefetched: this.#prefetched.size,
      claimsSent: this.#caller.sent,
      tasksClaimed: this.#caller.claimed,
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
    this.#caller.reset();
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
    if (wakeup.kind === 'ready') {
      this.#wakeupReceived = true;
      this.#drained = false;
      this.#wake();
    } else if (wakeup.kind === 'task') {
      this.#prefetched.onWakeup(wakeup);
      this.#runs.get(runKey(wakeup.tenantId, wakeup.taskId))?.run.onWakeup();
    }
  }

  async #work(signal: AbortSignal): Promise<void> {
    const stopped = (this.#stopped = new AbortController());
    this.#stopping = signal;
    const graceOver = new AbortController();
    const unsubscribe = this.ports.storage.wakeups.subscribe((wakeup) => this.#onWakeup(wakeup));
    this.#keeper.start();
    const stopRequested = new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
    signal.addEventListener('abort', () => this.#wake(), { once: true });
    const claiming = this.#claimLoop(signal, graceOver.signal);
    await stopRequested;
    await this.#drain(claiming, this.#grace);
    graceOver.abort();
    this.#cancelPoll?.();
    this.#cancelPoll = undefined;
    unsubscribe();
    await atMost(this.#clock, HAND_BACK_MS, this.#handBack());
    stopped.abort();
  }

  async #drain(claiming: Promise<void>, { graceMs, signal }: Grace): Promise<void> {
    const over = new AbortController();
    const ended = claiming.then(() => {
      for (const { run } of this.#runs.values()) run.parkNow();
      return Promise.all(this.#runs.values().map(({ done }) => done));
    });
    const either = signal ? AbortSignal.any([over.signal, signal]) : over.signal;
    await Promise.race([ended, pause(this.#clock, graceMs, either)]);
    over.abort();
  }

  async #handBack(): Promise<void> {
    const kept = this.#keeper.stop();
    await Promise.all(this.#runs.values().map((held) => this.#release(held.run)));
    await kept;
    await this.ports.storage.workers
      .leave({ workerId: this.workerId })
      .catch((error: unknown) => this.#report('leave', error));
  }

  async #claimLoop(signal: AbortSignal, graceOver: AbortSignal): Promise<void> {
    // One claim for all slots freed in the same turn of the event loop.
    this.#scheduleClaims = nextTurn(() => {
      this.#sendClaims(signal);
      this.#wake();
    });
    for (;;) {
      this.#sendClaims(signal);
      if (signal.aborted && this.#claims.isEmpty) break;
      const claims = await this.#claims.next();
      for (const claim of claims) {
        if (graceOver.aborted) void this.#settle(claim, { kind: 'released' });
        else this.#prefetched.add(claim, this.#clock.now());
      }
      // Before starting the claimed tasks, so that the storage is not idle meanwhile.
      if (this.#claims.hasMore) this.#sendClaims(signal);
      this.#fill();
      this.#releasePrefetched(this.#clock.now() - this.settings.pollMs);
      if (!this.#claims.isEmpty) continue;
      // Idle only without a wakeup since the claim was sent: a wakeup can overtake an empty answer.
      const noneLeft = !this.#claims.hasMore && !this.#wakeupReceived && !this.#caller.longPollTimedOut;
      this.#drained = noneLeft && this.#repeated === 0;
      if (this.#wanted <= 0 || this.#drained || (noneLeft && claims.length === 0)) await this.#idle(signal);
    }
    this.#releasePrefetched(Number.POSITIVE_INFINITY);
  }

  #sendClaims(signal: AbortSignal): void {
    while (!signal.aborted && this.#claims.maySend && this.#wanted > 0) {
      this.#wakeupReceived = false;
      const held = this.#prefetched.size + this.#claims.requestedTasks;
      this.#claims.send(this.#wanted, Math.max(0, this.#free - held));
    }
  }

  /** Number of tasks to request: one per free slot, and prefetched ones, but those not one by one. */
  get #wanted(): number {
    const held = this.#prefetched.size + this.#claims.requestedTasks;
    const free = Math.max(0, this.#free - held);
    const { capacity } = this.#prefetched;
    const prefetched = capacity - Math.max(0, held - this.#free);
    return free > 0 || prefetched * 2 > capacity ? free + Math.max(0, prefetched) : 0;
  }

  /** Starts prefetched tasks while slots are free. */
  #fill(): void {
    while (this.#free > 0) {
      const next = this.#prefetched.next();
      if (!next) return;
      this.#begin(next.claim, next.notified);
    }
  }

  /** Releases claims that have waited for a slot since `since` or longer: other workers may have free slots. */
  #releasePrefetched(since: number): void {
    for (const claim of this.#prefetched.takeOlder(since)) void this.#settle(claim, { kind: 'released' });
  }

  /** Waits for a wakeup, the end of a run, or the poll timer. */
  async #idle(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    // One timer for the whole poll interval: at full load this runs once per task.
    this.#cancelPoll ??= this.#clock.after(this.settings.pollMs, () => {
      this.#cancelPoll = undefined;
      this.#drained = false;
      this.#wake();
    });
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#wake = NOOP;
  }

  async #claim(request: ClaimRequest): Promise<readonly Claim[] | undefined> {
    try {
      return await this.#caller.claim(request, { isIdle: this.#isIdle, signal: this.#stopping });
    } catch (error) {
      this.#report('claim', error);
      return undefined;
    }
  }

  get #isIdle(): boolean {
    return this.#runs.size - this.#idleRuns - this.#settling <= 0 && this.#prefetched.size === 0;
  }

  get #free(): number {
    const { concurrency } = this.settings;
    if (this.#settling >= Math.max(MIN_MAX_SETTLING, concurrency * SETTLING_PER_SLOT)) return 0;
    return concurrency - (this.#runs.size - this.#idleRuns - this.#settling);
  }

  #begin(claim: Claim, notified: boolean): void {
    const { task } = claim;
    const run = new WorkflowRun(claim, this.ports, this.#owner);
    const key = runKey(task.tenant_id, task.task_id);
    // Claimed again by the worker that lost it: further writes of the first run have no effect.
    this.#runs.get(key)?.run.abandon();
    const held = new HeldRun(run);
    this.#runs.set(key, held);
    if (held.wasRunBefore) this.#repeated += 1;
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
      const end = await run.run(() => fn(context, task.payload));
      this.#ended[end.kind] += 1;
      this.#prefetched.recordDuration(this.#clock.now() - began);
      if (end.kind === 'abandoned' || end.kind === 'parked') return;
      // A finished run frees its slot: the next one starts while this one is settled.
      this.#settling += 1;
      this.#pump();
      await this.#settle(run.claim, end);
      this.#settling -= 1;
    } catch (error) {
      // Unexpected. The task fails with the error instead of staying leased.
      const { error: shown, diagnostic } = failureOf(error, task.type, this.ports.exposeErrors);
      await this.#settle(run.claim, { kind: 'failed', error: shown, diagnostic });
    } finally {
      if (this.#runs.get(key) === held) this.#runs.delete(key);
      if (held.wasRunBefore) {
        this.#repeated -= 1;
        this.#drained = false;
      }
      this.#pump();
    }
  }

  #pump(): void {
    this.#fill();
    if (this.#wanted > 0 && (!this.#drained || (this.#isIdle && this.#caller.supportsLongPoll)))
      this.#scheduleClaims();
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

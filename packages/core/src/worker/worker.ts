import { atMost, type Clock, pause } from '../runtime/clock.js';
import type { WorkerStats } from '../orchestrator-stats.js';
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
  /** Tasks that are run at once. Parked ones do not count. Default 100. */
  readonly concurrency: number;
  readonly leaseMs: number;
  readonly renewMs: number;
  /** How often to look for work though no wakeup rang. */
  readonly pollMs: number;
  /** Tasks that are claimed prefetched of free slots, at most. */
  readonly prefetch: number;
}

interface Grace {
  readonly graceMs: number;
  /** Fires when it is over earlier. */
  readonly signal?: AbortSignal | undefined;
}

/** For each slot, so many runs that only wait may be kept besides. */
const RESTING_A_SLOT = 10;
/** How long a worker that stops has to give back what it holds and to say that it leaves: the storage may be away. */
const HAND_BACK_MS = 2_000;
/** Runs that are over, but whose settlement is not answered yet, for each slot; and how many they may always be. */
const SETTLING_A_SLOT = 2;
const SETTLING_ALWAYS = 64;
const STAY = () => {};
/**
 * Claims tasks, runs their workflows, settles them. States: stopped, running (`start`), draining (`stop`: takes no
 * more, lets what runs come to its end within the grace, gives the rest back). A stop ends even if the storage is away:
 * what can't be given back then is another worker's once its lease has run out.
 */
export class Worker {
  readonly workerId: string;
  readonly #runs = new ShortLivedMap<string, HeldRun>();
  readonly #keeper: LeaseKeeper;
  readonly #loop = new Loop((signal) => this.#work(signal));
  #published = false;
  /** The last claim has found all there was: there is nothing more before a wakeup publishes. */
  #drained = false;
  /** Runs of tasks that may have cost a worker before: the next such one waits for their end, and publishes no wakeup. */
  #repeated = 0;
  #wake: () => void = STAY;
  #askSoon: () => void = STAY;
  #cancelPoll: (() => void) | undefined;
  /** Runs that only wait: they take no slot. */
  #idleRuns = 0;
  /** Runs that are over and being settled: they take none either. */
  #settling = 0;
  readonly #prefetched: PrefetchedClaims;
  #grace: Grace = { graceMs: 0 };
  readonly #caller: ClaimCaller;
  readonly #claims: ClaimsInFlight;
  readonly #settler: Settler;
  /** Fires when a stop begins. */
  #stopping = new AbortController().signal;
  /** Fires when a stop is over: nothing more is tried. */
  #gone = new AbortController();
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
    mayIdle: () => this.#idleRuns < this.settings.concurrency * RESTING_A_SLOT,
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
    const mostInAll = settings.concurrency + settings.prefetch;
    this.#claims = new ClaimsInFlight(this.workerId, mostInAll, (claim) => this.#claim(claim));
    this.#settler = new Settler(ports, { workerId: this.workerId, leaseMs: settings.leaseMs });
    this.#keeper = new LeaseKeeper(ports, settings, {
      held: () => this.#runs.values().map(({ run }) => run),
      announce: () => this.announce(),
    });
  }

  /** Milliseconds since the queue was last asked for work. */
  get idleForMs(): number {
    return this.#clock.now() - this.#caller.lastAt;
  }

  /** Whether every slot is taken: then the queue is not asked. */
  get full(): boolean {
    return this.#free <= 0;
  }

  get stats(): WorkerStats {
    return {
      slots: this.settings.concurrency,
      running: this.#runs.size,
      idle: this.#idleRuns,
      prefetched: this.#prefetched.size,
      claimsSent: this.#caller.asked,
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
    this.#caller.begin();
    this.#loop.start();
  }

  /** Takes no more, waits up to `graceMs` for what runs, gives the rest back. */
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

  #hear(wakeup: Wakeup): void {
    if (wakeup.kind === 'ready') {
      this.#published = true;
      this.#drained = false;
      this.#wake();
    } else if (wakeup.kind === 'task') {
      this.#prefetched.wakeup(wakeup);
      this.#runs.get(runKey(wakeup.tenantId, wakeup.taskId))?.run.wakeup();
    }
  }

  async #work(signal: AbortSignal): Promise<void> {
    const gone = (this.#gone = new AbortController());
    this.#stopping = signal;
    const graceOver = new AbortController();
    const unsubscribe = this.ports.storage.wakeups.subscribe((wakeup) => this.#hear(wakeup));
    this.#keeper.start();
    const told = new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
    signal.addEventListener('abort', () => this.#wake(), { once: true });
    const claiming = this.#claimOnAndOn(signal, graceOver.signal);
    await told;
    await this.#drain(claiming, this.#grace);
    graceOver.abort();
    this.#cancelPoll?.();
    this.#cancelPoll = undefined;
    unsubscribe();
    await atMost(this.#clock, HAND_BACK_MS, this.#handBack());
    gone.abort();
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
    await Promise.all(this.#runs.values().map((held) => this.#giveBack(held.run)));
    await kept;
    await this.ports.storage.workers
      .leave({ workerId: this.workerId })
      .catch((error: unknown) => this.#report('leave', error));
  }

  async #claimOnAndOn(signal: AbortSignal, graceOver: AbortSignal): Promise<void> {
    // For all slots together that become free in one turn of the event loop.
    this.#askSoon = nextTurn(() => {
      this.#askForMore(signal);
      this.#wake();
    });
    for (;;) {
      this.#askForMore(signal);
      if (signal.aborted && this.#claims.none) break;
      const claims = await this.#claims.next();
      for (const claim of claims) {
        if (graceOver.aborted) void this.#settle(claim, { kind: 'released' });
        else this.#prefetched.add(claim, this.#clock.now());
      }
      // Before what has come is begun, so that the storage is not idle meanwhile.
      if (this.#claims.moreWaits) this.#askForMore(signal);
      this.#fill();
      this.#releasePrefetched(this.#clock.now() - this.settings.pollMs);
      if (!this.#claims.none) continue;
      // Idle only if no wakeup rang since the claim was sent: a wakeup can overtake an empty answer.
      const noneLeft = !this.#claims.moreWaits && !this.#published && !this.#caller.waitedInVain;
      this.#drained = noneLeft && this.#repeated === 0;
      if (this.#wanted <= 0 || this.#drained || (noneLeft && claims.length === 0)) await this.#idle(signal);
    }
    this.#releasePrefetched(Number.POSITIVE_INFINITY);
  }

  #askForMore(signal: AbortSignal): void {
    while (!signal.aborted && this.#claims.mayAsk && this.#wanted > 0) {
      this.#published = false;
      this.#claims.send(this.#wanted, Math.max(0, this.#free - this.#prefetched.size - this.#claims.coming));
    }
  }

  /** How many tasks to ask for: as many as there are free slots, and some prefetched, but those not one by one. */
  get #wanted(): number {
    const had = this.#prefetched.size + this.#claims.coming;
    const free = Math.max(0, this.#free - had);
    const { room } = this.#prefetched;
    const prefetched = room - Math.max(0, had - this.#free);
    return free > 0 || prefetched * 2 > room ? free + Math.max(0, prefetched) : 0;
  }

  /** Begins what waits, as far as there are free slots. */
  #fill(): void {
    while (this.#free > 0) {
      const next = this.#prefetched.next();
      if (!next) return;
      this.#begin(next.claim, next.notified);
    }
  }

  /** Gives back what has waited for a slot since before `since`: others may have one. */
  #releasePrefetched(since: number): void {
    for (const claim of this.#prefetched.takeOlder(since)) void this.#settle(claim, { kind: 'released' });
  }

  /** Until something wakes it: a wakeup, one of its runs that has ended, or the poll. */
  async #idle(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    // One timer stays set from poll to poll: at full load this comes by for every task.
    this.#cancelPoll ??= this.#clock.after(this.settings.pollMs, () => {
      this.#cancelPoll = undefined;
      this.#drained = false;
      this.#wake();
    });
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#wake = STAY;
  }

  async #claim(claim: ClaimRequest): Promise<readonly Claim[] | undefined> {
    try {
      return await this.#caller.ask(claim, { isIdle: this.#isIdle, signal: this.#stopping });
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
    if (this.#settling >= Math.max(SETTLING_ALWAYS, concurrency * SETTLING_A_SLOT)) return 0;
    return concurrency - (this.#runs.size - this.#idleRuns - this.#settling);
  }

  #begin(claim: Claim, notified: boolean): void {
    const { task } = claim;
    const run = new WorkflowRun(claim, this.ports, this.#owner);
    const key = runKey(task.tenant_id, task.task_id);
    // Claimed again by the worker that lost it: what the first run still does has no effect.
    this.#runs.get(key)?.run.abandon();
    const held = new HeldRun(run);
    this.#runs.set(key, held);
    if (held.wasRunBefore) this.#repeated += 1;
    held.done = this.#carryOut(key, held);
    if (notified) run.wakeup();
  }

  async #carryOut(key: string, held: HeldRun): Promise<void> {
    const { run } = held;
    const { task, version } = run.claim;
    const fn = this.ports.catalog.find(task.type, version);
    const began = this.#clock.now();
    try {
      // It may be what has cost a worker before: from here on, losing its lease counts.
      const hasRun =
        task.attempt > 1 || run.claim.steps.length > 0 || run.claim.journalRev > 0 || run.claim.unread;
      if (run.claim.prefetched && hasRun) await this.#keeper.begin(run);
      if (!fn) {
        this.#ended.released += 1;
        await this.#giveBack(run);
        return;
      }
      if (!(await run.load())) {
        this.#ended.abandoned += 1;
        return;
      }
      const context = new RunContext(run, this.ports);
      const end = await run.run(() => fn(context, task.payload));
      this.#ended[end.kind] += 1;
      this.#prefetched.took(this.#clock.now() - began);
      if (end.kind === 'abandoned' || end.kind === 'parked') return;
      // A run that is over needs its slot no more: the next one begins while this one is settled.
      this.#settling += 1;
      this.#pump();
      await this.#settle(run.claim, end);
      this.#settling -= 1;
    } catch (error) {
      // Nothing above is to throw. If it does, the task ends with words instead of staying leased.
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
    if (this.#wanted > 0 && (!this.#drained || (this.#isIdle && this.#caller.storageWaits))) this.#askSoon();
  }

  /** Never rejects: what can't be settled is another worker's once its lease has run out. */
  #settle(claim: Claim, settlement: Settlement): Promise<void> {
    return this.#settler.settle(claim, settlement, this.#gone.signal);
  }

  async #giveBack(run: WorkflowRun): Promise<void> {
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

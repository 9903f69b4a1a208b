import type { Clock } from '../runtime/clock.js';
import type { Logger } from '../runtime/logger.js';
import { nextTurn } from '../runtime/next-turn.js';
import { WakeSignal } from '../runtime/wake-signal.js';
import { messageOf } from '../protocol/thrown.js';
import type { Storage } from '../storage/storage.js';
import type { Claim, Runnable } from '../storage/task-queue.js';
import type { Wakeup } from '../storage/wakeups.js';
import { type ClaimAnswer, ClaimCaller } from './claim-caller.js';
import { type ClaimRequest, ClaimsInFlight } from './claims-in-flight.js';
import { type NextClaim, PrefetchedClaims } from './prefetched-claims.js';
import type { WorkerStats } from './worker-stats.js';

export interface ClaimPumpSettings {
  readonly workerId: string;
  readonly concurrency: number;
  readonly prefetch: number;
  readonly leaseMs: number;
  /** Interval of claims without a wakeup, ms. */
  readonly pollMs: number;
}

/** The worker that claims are for. */
export interface ClaimTaker {
  runs(): readonly Runnable[];
  /** Types whose runs read the messages of their session first. */
  readsMessages(): readonly string[];
  /** Claims have arrived: `next` may have one. */
  onClaims(): void;
  /** Gives back a claim that no slot has become free for. */
  release(claim: Claim): void;
}

/**
 * Claims tasks for the free slots of one worker, and some ahead of them. States: stopped; claiming, while tasks are wanted;
 * drained, since the last claim has emptied the queue, until a `ready` wakeup, a poll, or the end of a task that ran before.
 *
 * It decides when to claim, how many, and in which claim slot; the worker says how many slots are free, and takes.
 */
export class ClaimPump {
  readonly #caller: ClaimCaller;
  readonly #inFlight: ClaimsInFlight;
  readonly #prefetched: PrefetchedClaims;
  readonly #wake = new WakeSignal();
  /** Aborted while stopped: no claim is sent. */
  #stopping: AbortSignal = AbortSignal.abort();
  #freeSlots: number;
  #wakeupReceived = false;
  #drained = false;
  /** Running tasks that may have crashed a worker: the next such task waits for their end, without a wakeup. */
  #ranBefore = 0;
  #cancelPoll: (() => void) | undefined;
  /** One claim for all slots freed in the same turn of the event loop. */
  readonly #claimSoon = nextTurn(() => {
    this.#send();
    this.#wake.notify();
  });

  constructor(
    private readonly ports: { readonly storage: Storage; readonly clock: Clock; readonly logger: Logger },
    private readonly settings: ClaimPumpSettings,
    private readonly taker: ClaimTaker,
  ) {
    const { workerId, concurrency, prefetch, leaseMs, pollMs } = settings;
    this.#freeSlots = concurrency;
    this.#prefetched = new PrefetchedClaims(prefetch, concurrency);
    this.#caller = new ClaimCaller(ports, { workerId, leaseMs, waitMs: pollMs }, taker);
    this.#inFlight = new ClaimsInFlight(workerId, concurrency + prefetch, (request) => this.#claim(request));
  }

  /** Time of the last answered claim, epoch ms. */
  get lastAnswerAt(): number {
    return this.#caller.lastAnswerAt;
  }

  get stats(): Pick<WorkerStats, 'prefetched' | 'claimsSent' | 'tasksClaimed'> {
    const { sent, claimed } = this.#caller;
    return { prefetched: this.#prefetched.size, claimsSent: sent, tasksClaimed: claimed };
  }

  reset(): void {
    this.#caller.reset();
  }

  onWakeup(wakeup: Wakeup): void {
    if (wakeup.kind === 'ready') {
      this.#wakeupReceived = true;
      this.#drained = false;
      this.#wake.notify();
    } else if (wakeup.kind === 'task') this.#prefetched.onWakeup(wakeup);
  }

  /** A claimed task for a free slot. Call it until it has none, whenever the number of free slots has changed. */
  next(freeSlots: number): NextClaim | undefined {
    this.#freeSlots = freeSlots;
    const next = freeSlots > 0 ? this.#prefetched.next() : undefined;
    if (next && wasRunBefore(next.claim)) this.#ranBefore += 1;
    return next;
  }

  /** Claims more, if more are wanted; with other calls in the same turn of the event loop. */
  request(): void {
    if (this.#wanted > 0 && (!this.#drained || (this.#isIdle && this.#caller.supportsLongPoll)))
      this.#claimSoon();
  }

  /** A task of `next` has ended. */
  ended(claim: Claim): void {
    if (!wasRunBefore(claim)) return;
    this.#ranBefore -= 1;
    this.#drained = false;
  }

  /** Records the duration of a run: the shorter, the more tasks are claimed ahead. */
  recordDuration(ms: number): void {
    this.#prefetched.recordDuration(ms);
  }

  /**
   * Claims until `signal` fires; resolves once no claim is in flight.
   * @param graceOver from then on, claims that arrive are released.
   */
  async run(signal: AbortSignal, graceOver: AbortSignal): Promise<void> {
    this.#stopping = signal;
    const onStop = () => this.#wake.notify();
    signal.addEventListener('abort', onStop, { once: true });
    for (;;) {
      this.#send();
      if (signal.aborted && this.#inFlight.isEmpty) break;
      const { claims, leasedUntil } = await this.#inFlight.next();
      for (const claim of claims) {
        if (graceOver.aborted) this.taker.release(claim);
        else this.#prefetched.add(claim, { since: this.ports.clock.now(), leasedUntil });
      }
      // Before starting the claimed tasks, so that the storage is not idle meanwhile.
      if (this.#inFlight.hasMore) this.#send();
      this.taker.onClaims();
      this.#releaseOlder(this.ports.clock.now() - this.settings.pollMs);
      if (!this.#inFlight.isEmpty) continue;
      // Idle only without a wakeup since the claim was sent: a wakeup can overtake an empty answer.
      const noneLeft = !this.#inFlight.hasMore && !this.#wakeupReceived && !this.#caller.longPollTimedOut;
      this.#drained = noneLeft && this.#ranBefore === 0;
      if (this.#wanted <= 0 || this.#drained || (noneLeft && claims.length === 0)) await this.#idle(signal);
    }
    signal.removeEventListener('abort', onStop);
    this.#releaseOlder(Number.POSITIVE_INFINITY);
  }

  /** Ends the poll timer, after `run`. */
  stop(): void {
    this.#cancelPoll?.();
    this.#cancelPoll = undefined;
  }

  #send(): void {
    while (!this.#stopping.aborted && this.#inFlight.maySend && this.#wanted > 0) {
      this.#wakeupReceived = false;
      this.#inFlight.send(this.#wanted, Math.max(0, this.#freeSlots - this.#held));
    }
  }

  /** Tasks claimed or requested, and not taken. */
  get #held(): number {
    return this.#prefetched.size + this.#inFlight.requestedTasks;
  }

  /** Number of tasks to request: one per free slot, and prefetched ones, but those not one by one. */
  get #wanted(): number {
    const free = Math.max(0, this.#freeSlots - this.#held);
    const { capacity } = this.#prefetched;
    const prefetched = capacity - Math.max(0, this.#held - this.#freeSlots);
    return free > 0 || prefetched * 2 > capacity ? free + Math.max(0, prefetched) : 0;
  }

  /** Releases claims that have waited for a slot since `since` or longer: other workers may have free slots. */
  #releaseOlder(since: number): void {
    for (const claim of this.#prefetched.takeOlder(since)) this.taker.release(claim);
  }

  /** Waits for a wakeup, the end of a run, or the poll timer. */
  async #idle(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    // One timer for the whole poll interval: at full load this runs once per task.
    this.#cancelPoll ??= this.ports.clock.after(this.settings.pollMs, () => {
      this.#cancelPoll = undefined;
      this.#drained = false;
      this.#wake.notify();
    });
    await this.#wake.next;
  }

  async #claim(request: ClaimRequest): Promise<ClaimAnswer | undefined> {
    try {
      return await this.#caller.claim(request, { isIdle: this.#isIdle, signal: this.#stopping });
    } catch (error) {
      const { workerId } = this.settings;
      this.ports.logger.error('worker: claim failed', { workerId, error: messageOf(error) });
      return undefined;
    }
  }

  /** The worker runs nothing, and has nothing to run. */
  get #isIdle(): boolean {
    return this.#freeSlots >= this.settings.concurrency && this.#prefetched.size === 0;
  }
}

/** The task ran before, so it may have crashed a worker. */
function wasRunBefore({ task, steps, unread }: Claim): boolean {
  return task.attempt > 1 || steps.length > 0 || unread === true;
}

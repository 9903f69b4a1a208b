import type { Clock } from '../runtime/clock.js';
import type { Storage } from '../storage/storage.js';
import type { Claim, Runnable } from '../storage/task-queue.js';
import type { ClaimRequest } from './claims-in-flight.js';

/** An answered claim. */
export interface ClaimAnswer {
  readonly claims: readonly Claim[];
  /** The leases last at least so long, epoch ms. */
  readonly leasedUntil: number;
}

interface ClaimOptions {
  /** The worker runs nothing. Only then may the claim be a long poll, since its task can start at once. */
  readonly isIdle: boolean;
  /** Fires when the worker stops. */
  readonly signal: AbortSignal;
}

/** Sends claims, and detects whether the storage supports long polls. */
export class ClaimCaller {
  #sent = 0;
  #claimed = 0;
  #lastAnswerAt = 0;
  #supportsLongPoll = true;
  #longPollTimedOut = false;
  /** When each claim without an answer was first sent, by its id: a repeat returns leases of the first. */
  readonly #sentAt = new Map<string, number>();

  constructor(
    private readonly ports: { readonly storage: Storage; readonly clock: Clock },
    private readonly worker: {
      readonly workerId: string;
      readonly leaseMs: number;
      readonly waitMs: number;
    },
    private readonly taker: { runs(): readonly Runnable[]; readsMessages(): readonly string[] },
  ) {}

  /** Claims sent. */
  get sent(): number {
    return this.#sent;
  }

  /** Tasks claimed. */
  get claimed(): number {
    return this.#claimed;
  }

  /** Time of the last answer, or of `reset`; epoch ms. */
  get lastAnswerAt(): number {
    return this.#lastAnswerAt;
  }

  /** Assumed until an idle claim returns early with nothing. */
  get supportsLongPoll(): boolean {
    return this.#supportsLongPoll;
  }

  /** The last claim was a long poll that found nothing: the next one may follow at once. */
  get longPollTimedOut(): boolean {
    return this.#longPollTimedOut;
  }

  reset(): void {
    this.#lastAnswerAt = this.ports.clock.now();
    this.#supportsLongPoll = true;
  }

  async claim(request: ClaimRequest, { isIdle, signal }: ClaimOptions): Promise<ClaimAnswer> {
    const { clock, storage } = this.ports;
    const { workerId, leaseMs, waitMs } = this.worker;
    const mayWait = isIdle && this.#supportsLongPoll;
    const readsMessages = this.taker.readsMessages();
    const params = {
      ...request,
      workerId,
      runs: this.taker.runs(),
      leaseMs,
      ...(readsMessages.length > 0 && { readsMessages }),
    };
    const sentAt = clock.now();
    const { claimId } = request;
    const firstSentAt = this.#sentAt.get(claimId) ?? sentAt;
    this.#sentAt.set(claimId, firstSentAt);
    this.#sent += 1;
    this.#longPollTimedOut = false;
    const claims = await storage.queue.claim({ ...params, ...(mayWait && { waitMs, signal }) });
    this.#sentAt.delete(claimId);
    this.#claimed += claims.length;
    this.#lastAnswerAt = clock.now();
    if (mayWait && claims.length === 0 && !signal.aborted)
      this.#supportsLongPoll = this.#longPollTimedOut = this.#lastAnswerAt - sentAt >= waitMs / 2;
    return { claims, leasedUntil: firstSentAt + leaseMs };
  }
}

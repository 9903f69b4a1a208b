import { Fifo } from '../runtime/fifo.js';
import type { ClaimAnswer } from './claim-caller.js';

/** Maximum of claims in flight while more tasks wait: the storage searches while earlier tasks run. */
const MAX_IN_FLIGHT = 3;
/** Bounds of a claim's `max`, which is an equal part of the worker's capacity. */
const MIN_PER_CLAIM = 16;
const MAX_PER_CLAIM = 64;
const NONE: ClaimAnswer = { claims: [], leasedUntil: 0 };

export interface ClaimRequest {
  readonly claimSlot: string;
  readonly claimId: string;
  readonly max: number;
  /** How many of them start at once, in a free slot. */
  readonly begins: number;
}

/** A class, like every holder of short-lived values: see ADR 10. */
class InFlightClaim {
  /** @param answer `undefined` if the claim failed, and its effect is unknown. */
  constructor(
    readonly max: number,
    readonly answer: Promise<ClaimAnswer | undefined>,
  ) {}
}

/** A worker's claims in flight, completed in the order in which they were sent. */
export class ClaimsInFlight {
  readonly #inFlight = new Fifo<InFlightClaim>();
  /** Number of each slot's next claim; incremented by an answer, so that a retry repeats the same claim. */
  readonly #numbers: number[] = Array.from({ length: MAX_IN_FLIGHT }, () => 0);
  /** Free slots. Those with a failed claim first: tasks it may have leased are waiting. */
  readonly #free = new Fifo<number>();
  #failed = 0;
  /** Failed claims to retry. Set only when nothing is in flight, so that an unavailable storage is not hammered. */
  #failedToRetry = 0;
  #requestedTasks = 0;
  #hasMore = false;
  readonly #maxPerClaim: number;

  /** @param maxTasks the worker's capacity, prefetched tasks included. */
  constructor(
    private readonly workerId: string,
    maxTasks: number,
    /** Sends the claim; `undefined` if that failed. */
    private readonly claim: (request: ClaimRequest) => Promise<ClaimAnswer | undefined>,
  ) {
    for (const claimSlot of this.#numbers.keys()) this.#free.push(claimSlot);
    this.#maxPerClaim = Math.max(MIN_PER_CLAIM, Math.min(MAX_PER_CLAIM, Math.ceil(maxTasks / MAX_IN_FLIGHT)));
  }

  get isEmpty(): boolean {
    return this.#inFlight.size === 0;
  }

  /** Whether the last completed claim returned as many tasks as requested. */
  get hasMore(): boolean {
    return this.#hasMore;
  }

  /** Tasks requested by the claims in flight. */
  get requestedTasks(): number {
    return this.#requestedTasks;
  }

  /** Whether another claim may be sent: the first, one for further waiting tasks, or a retry. */
  get maySend(): boolean {
    return this.isEmpty || (this.#free.size > 0 && (this.#hasMore || this.#failedToRetry > 0));
  }

  /** @param free slots left by the tasks that are held or requested. */
  send(wanted: number, free: number): void {
    const claimSlot = this.#free.shift() ?? 0;
    this.#failed = Math.max(0, this.#failed - 1);
    this.#failedToRetry = Math.max(0, this.#failedToRetry - 1);
    const max = Math.min(wanted, this.#maxPerClaim);
    this.#requestedTasks += max;
    this.#inFlight.push(new InFlightClaim(max, this.#send(claimSlot, max, Math.min(max, free))));
  }

  async #send(number: number, max: number, begins: number): Promise<ClaimAnswer | undefined> {
    const claimSlot = `${this.workerId}/${number}`;
    const answer = await this.claim({
      claimSlot,
      claimId: `${claimSlot}.${this.#numbers[number]}`,
      max,
      begins,
    });
    if (answer) {
      this.#numbers[number] = (this.#numbers[number] ?? 0) + 1;
      this.#free.push(number);
    } else {
      this.#free.unshift(number);
      this.#failed += 1;
    }
    return answer;
  }

  /** Tasks of the oldest claim in flight. */
  async next(): Promise<ClaimAnswer> {
    const oldest = this.#inFlight.first;
    if (!oldest) return NONE;
    const answer = (await oldest.answer) ?? NONE;
    this.#inFlight.shift();
    this.#requestedTasks -= oldest.max;
    this.#hasMore = answer.claims.length >= oldest.max;
    if (this.isEmpty) this.#failedToRetry = this.#failed;
    return answer;
  }
}

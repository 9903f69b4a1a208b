import type { Claim } from '../storage/task-queue.js';

/** So many at once, where more waits than one takes: the storage looks for tasks while those before are run. */
const AT_ONCE = 3;
/** Each asks for its share of what the worker takes in all, but for no fewer than this, and for no more. */
const FEWEST_A_CLAIM = 16;
const MOST_A_CLAIM = 64;

export interface ClaimRequest {
  readonly claimSlot: string;
  readonly claimId: string;
  readonly max: number;
  /** How many of them find a free slot. */
  readonly begins: number;
}

/** A class, as everything that holds what passes by quickly: see ADR 10. */
class Asked {
  /** @param claims `undefined` when nobody knows what was claimed. */
  constructor(
    readonly max: number,
    readonly claims: Promise<readonly Claim[] | undefined>,
  ) {}
}

/** The claims that a worker has asked for, answered in the order in which they were asked. */
export class ClaimsInFlight {
  readonly #asked: Asked[] = [];
  /** The number of each claimSlot's next claim; counted on once it is answered: asked again, it is the same claim. */
  readonly #numbers: number[] = Array.from({ length: AT_ONCE }, () => 0);
  /** Those whose claim failed come first: what they may have got is waiting. */
  readonly #free = this.#numbers.map((_, claimSlot) => claimSlot);
  #failed = 0;
  /** How many of those are to be asked again: known once none is under way, so that nobody asks on and on in vain. */
  #failedToRetry = 0;
  #coming = 0;
  #moreWaits = false;
  readonly #mostAClaim: number;

  /** @param mostInAll how many tasks the worker takes at once, those prefetched included. */
  constructor(
    private readonly workerId: string,
    mostInAll: number,
    /** Asks the storage; `undefined` when that failed. */
    private readonly ask: (claim: ClaimRequest) => Promise<readonly Claim[] | undefined>,
  ) {
    this.#mostAClaim = Math.max(FEWEST_A_CLAIM, Math.min(MOST_A_CLAIM, Math.ceil(mostInAll / AT_ONCE)));
  }

  get none(): boolean {
    return this.#asked.length === 0;
  }

  /** Whether the last claim that was answered got all that it asked for. */
  get moreWaits(): boolean {
    return this.#moreWaits;
  }

  /** How many tasks may come. */
  get coming(): number {
    return this.#coming;
  }

  /** Whether one more claim may be sent now: the first, one for what waits besides, or one that failed. */
  get mayAsk(): boolean {
    return this.none || (this.#free.length > 0 && (this.#moreWaits || this.#failedToRetry > 0));
  }

  /** @param free slots that none of the tasks that are there or may come will take. */
  send(wanted: number, free: number): void {
    const claimSlot = this.#free.shift() ?? 0;
    this.#failed = Math.max(0, this.#failed - 1);
    this.#failedToRetry = Math.max(0, this.#failedToRetry - 1);
    const max = Math.min(wanted, this.#mostAClaim);
    this.#coming += max;
    this.#asked.push(new Asked(max, this.#claim(claimSlot, max, Math.min(max, free))));
  }

  async #claim(number: number, max: number, begins: number): Promise<readonly Claim[] | undefined> {
    const claimSlot = `${this.workerId}/${number}`;
    const claims = await this.ask({
      claimSlot,
      claimId: `${claimSlot}.${this.#numbers[number]}`,
      max,
      begins,
    });
    if (claims) {
      this.#numbers[number] = (this.#numbers[number] ?? 0) + 1;
      this.#free.push(number);
    } else {
      this.#free.unshift(number);
      this.#failed += 1;
    }
    return claims;
  }

  /** What the oldest has brought. */
  async next(): Promise<readonly Claim[]> {
    const [oldest] = this.#asked;
    if (!oldest) return [];
    const claims = (await oldest.claims) ?? [];
    this.#asked.shift();
    this.#coming -= oldest.max;
    this.#moreWaits = claims.length >= oldest.max;
    if (this.none) this.#failedToRetry = this.#failed;
    return claims;
  }
}

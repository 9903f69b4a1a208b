import type { Clock } from '../runtime/clock.js';
import { Breaker } from './breaker.js';

/** How many (tenant, service) pairs with recent failures are remembered; beyond it the oldest is forgotten. */
const MAX_PAIRS = 10_000;

/** A breaker that opened: of one tenant's calls to a service, or of everybody's where no tenant is named. */
export interface OpenedBreaker {
  readonly service: string;
  readonly tenantId?: string;
}

/**
 * What one send of a call came to. `failed`: an answer that says so. `unanswered`: the connection broke, or there was no
 * answer in time, which says nothing of connections. `unreachable`: no connection could be made.
 */
export type SendOutcome = 'succeeded' | 'failed' | 'unanswered' | 'unreachable' | 'given_up';

/**
 * Circuit breakers of the services. Failed answers open the breaker of (tenant, service), so that no tenant's input
 * closes a service to others; only a service that cannot be connected to is closed to everybody.
 */
export class Breakers {
  readonly #byService = new Map<string, Breaker>();
  /** Pairs with failures since their last success, the one that failed last at the end. */
  readonly #byPair = new Map<string, Breaker>();

  constructor(
    private readonly clock: Clock,
    private readonly onOpen: (opened: OpenedBreaker) => void,
  ) {}

  /** By service; those that have not been called yet are missing. */
  states(): Record<string, Breaker['state']> {
    return Object.fromEntries([...this.#byService].map(([name, { state }]) => [name, state]));
  }

  /** How many tenants' calls to each service do not pass. */
  openTenants(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const [pair, { state }] of this.#byPair) {
      if (state === 'closed') continue;
      const service = pair.slice(pair.indexOf(' ') + 1);
      counts[service] = (counts[service] ?? 0) + 1;
    }
    return counts;
  }

  /**
   * Lets a call pass, or says for how long none does. Each pass is answered with `report`: it tells what came of the
   * call.
   */
  enter(tenantId: string, service: string): { waitMs: number } | { report: (outcome: SendOutcome) => void } {
    const everybody = this.#ofService(service);
    const pair = `${tenantId} ${service}`;
    const own = this.#byPair.get(pair);
    if (!everybody.tryPass()) return { waitMs: everybody.waitMs };
    if (own && !own.tryPass()) {
      everybody.gaveUp();
      return { waitMs: own.waitMs };
    }
    return { report: (outcome) => this.#report(tenantId, service, outcome) };
  }

  #report(tenantId: string, service: string, outcome: SendOutcome): void {
    const everybody = this.#ofService(service);
    const pair = `${tenantId} ${service}`;
    const own = this.#byPair.get(pair);
    if (outcome === 'unreachable') {
      everybody.failed();
      own?.gaveUp();
    } else if (outcome === 'given_up') {
      everybody.gaveUp();
      own?.gaveUp();
    } else {
      if (outcome === 'unanswered') everybody.gaveUp();
      else everybody.succeeded();
      if (outcome === 'succeeded') this.#byPair.delete(pair);
      else this.#failed(pair, { service, tenantId });
    }
  }

  #failed(pair: string, opened: OpenedBreaker): void {
    const own = this.#byPair.get(pair) ?? new Breaker(this.clock, { onOpen: () => this.onOpen(opened) });
    this.#byPair.delete(pair);
    this.#byPair.set(pair, own);
    own.failed();
    if (this.#byPair.size <= MAX_PAIRS) return;
    const [oldest] = this.#byPair.keys();
    this.#byPair.delete(oldest as string);
  }

  #ofService(service: string): Breaker {
    const known = this.#byService.get(service);
    if (known) return known;
    const made = new Breaker(this.clock, { onOpen: () => this.onOpen({ service }) });
    this.#byService.set(service, made);
    return made;
  }
}

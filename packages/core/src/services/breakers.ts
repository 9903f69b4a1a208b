import type { Clock } from '../runtime/clock.js';
import { Breaker } from './breaker.js';

/** Maximum of (tenant, service) pairs with recent failures; beyond it, the oldest is dropped. */
const MAX_PAIRS = 10_000;

/** An opened breaker: that of one tenant's calls, or, without `tenantId`, the one shared by all tenants. */
export interface OpenedBreaker {
  readonly service: string;
  readonly tenantId?: string;
}

/**
 * Outcome of one send. `failed`: a failure response. `unanswered`: the connection broke, or no response in time; inconclusive
 * about connectivity. `unreachable`: no connection.
 */
export type SendOutcome = 'succeeded' | 'failed' | 'unanswered' | 'unreachable' | 'given_up';

/**
 * Circuit breakers of the services. Failure responses open the breaker of (tenant, service), so that one tenant's input does
 * not cut off others; only connection failures open the breaker shared by all tenants.
 */
export class Breakers {
  readonly #byService = new Map<string, Breaker>();
  /** Pairs with failures since their last success, the latest failure last. */
  readonly #byPair = new Map<string, Breaker>();

  constructor(
    private readonly clock: Clock,
    private readonly onOpen: (opened: OpenedBreaker) => void,
  ) {}

  /** By service; services never called are absent. */
  states(): Record<string, Breaker['state']> {
    return Object.fromEntries([...this.#byService].map(([name, { state }]) => [name, state]));
  }

  /** Number of tenants with an open or half-open breaker, by service. */
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
   * Admits a call, or returns the time until the next probe, ms. For each admitted call, `report` must be called with its
   * outcome.
   */
  enter(tenantId: string, service: string): { waitMs: number } | { report: (outcome: SendOutcome) => void } {
    const shared = this.#ofService(service);
    const pair = `${tenantId} ${service}`;
    const own = this.#byPair.get(pair);
    if (!shared.tryPass()) return { waitMs: shared.waitMs };
    if (own && !own.tryPass()) {
      shared.abandoned();
      return { waitMs: own.waitMs };
    }
    return { report: (outcome) => this.#report(tenantId, service, outcome) };
  }

  #report(tenantId: string, service: string, outcome: SendOutcome): void {
    const shared = this.#ofService(service);
    const pair = `${tenantId} ${service}`;
    const own = this.#byPair.get(pair);
    if (outcome === 'unreachable') {
      shared.failed();
      own?.abandoned();
    } else if (outcome === 'given_up') {
      shared.abandoned();
      own?.abandoned();
    } else {
      if (outcome === 'unanswered') shared.abandoned();
      else shared.succeeded();
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

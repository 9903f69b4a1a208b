import { createHmac, randomBytes } from 'node:crypto';
import type { Clock } from '@agent-orchestrator/core';
import type { Rate } from '@agent-orchestrator/core/storage';
import { LocalRates } from './local-rates.js';
import type { RateState } from './rate-state.js';

/** Credentials that are remembered as known. */
const MAX_KNOWN = 10_000;

/**
 * Limit of failed logins by address. Beyond it only credentials that were accepted before are checked: others that share the
 * address with a caller that guesses, such as behind a proxy, stay connected.
 */
export class LoginGuard {
  readonly #failures: LocalRates;
  /** Keyed hashes, least recently used first. */
  readonly #known = new Set<string>();
  readonly #secret = randomBytes(32);

  constructor(rate: Rate, clock: Clock) {
    this.#failures = new LocalRates(rate, clock);
  }

  /** The refusal of a login: too many from the address have failed. */
  check(address: string, token: string | undefined): RateState | undefined {
    const state = this.#failures.peek(address);
    if (state.isAllowed || (token !== undefined && this.#known.has(this.#digest(token)))) return undefined;
    return state;
  }

  /** Counts a failed login; it is answered as such. */
  failed(address: string): RateState {
    return { ...this.#failures.take(address), isAllowed: true };
  }

  succeeded(token: string): void {
    const digest = this.#digest(token);
    this.#known.delete(digest);
    this.#known.add(digest);
    const [oldest] = this.#known;
    if (oldest !== undefined && this.#known.size > MAX_KNOWN) this.#known.delete(oldest);
  }

  #digest(token: string): string {
    return createHmac('sha256', this.#secret).update(token).digest('base64');
  }
}

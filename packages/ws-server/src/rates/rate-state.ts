import { OrchestratorError } from '@agent-orchestrator/core';
import type { Rate } from '@agent-orchestrator/core/storage';

/** What a limit says of one request. */
export interface RateState extends Rate {
  readonly isAllowed: boolean;
  /** Further requests that are allowed now, about. */
  readonly remaining: number;
  /** Until the next one is allowed, ms; 0: now. */
  readonly retryAfterMs: number;
}

/** Limits that answers name. */
export type LimitName = 'tenant' | 'credential' | 'address' | 'logins';

const WHAT: Readonly<Record<LimitName, string>> = {
  tenant: 'requests of a tenant',
  credential: 'requests of an API key',
  address: 'requests from one address',
  logins: 'failed logins from one address',
};

/** Limits that cover one request, for the fields of its answer. */
export class CoveredBy {
  readonly #states = new Map<LimitName, RateState>();

  /** @throws {OrchestratorError} `rate_limited` beyond the limit. */
  check(name: LimitName, state: RateState): void {
    this.#states.set(name, state);
    if (state.isAllowed) return;
    const { perMinute, burst, retryAfterMs } = state;
    throw new OrchestratorError(
      'rate_limited',
      `expected at most ${perMinute} ${WHAT[name]} a minute and ${burst} at once, got one more`,
      { retryAfterMs },
    );
  }

  note(name: LimitName, state: RateState): void {
    this.#states.set(name, state);
  }

  /** `RateLimit-Policy` and `RateLimit` of draft-ietf-httpapi-ratelimit-headers-11: structured fields, as lists. */
  fields(): Record<string, string> {
    if (this.#states.size === 0) return {};
    const states = [...this.#states];
    return {
      'ratelimit-policy': states.map(([name, state]) => `"${name}"${policyOf(state)}`).join(', '),
      ratelimit: states.map(([name, state]) => `"${name}"${serviceLimitOf(state)}`).join(', '),
    };
  }
}

/** The burst, and the seconds in which it is refilled: on average the rate. */
function policyOf({ perMinute, burst }: Rate): string {
  return `;q=${burst};w=${Math.max(1, Math.ceil((burst * 60) / perMinute))}`;
}

/** What is left, and the seconds until all of it is there again; of a refusal, as `Retry-After`, until there is one. */
function serviceLimitOf({ perMinute, burst, remaining, isAllowed, retryAfterMs }: RateState): string {
  const seconds = isAllowed ? ((burst - remaining) * 60) / perMinute : Math.max(1, retryAfterMs / 1_000);
  return `;r=${remaining};t=${Math.ceil(seconds)}`;
}

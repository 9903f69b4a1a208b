import { createHmac, randomBytes } from 'node:crypto';
import { type Clock, type Orchestrator, OrchestratorError } from '@agent-orchestrator/core';
import { LocalRates } from './local-rates.js';
import { LoginGuard } from './login-guard.js';
import type { Rates } from './rate-options.js';
import type { CoveredBy, LimitName, RateState } from './rate-state.js';
import { TenantRates } from './tenant-rates.js';

/** A credential, shown from an address. */
export interface LoginTry {
  /** `undefined`: not known. */
  readonly address: string | undefined;
  readonly token: string | undefined;
  readonly ticket: string | null;
  readonly covered: CoveredBy;
}

/** Limits of the requests to one server. */
export class RequestRates {
  /** Refused requests, by limit. */
  readonly refused: Record<LimitName, number> = { tenant: 0, credential: 0, address: 0, logins: 0 };
  readonly #logins: LoginGuard | undefined;
  readonly #tenants: TenantRates | undefined;
  readonly #credentials: LocalRates | undefined;
  readonly #addresses: LocalRates | undefined;
  readonly #secret = randomBytes(32);

  constructor(rates: Rates, orchestrator: Orchestrator, clock: Clock) {
    const { tenant, credential, address, failedLogins } = rates;
    this.#logins = failedLogins && new LoginGuard(failedLogins, clock);
    this.#addresses = address && new LocalRates(address, clock);
    this.#credentials = credential && new LocalRates(credential, clock);
    this.#tenants =
      tenant &&
      new TenantRates(tenant, {
        clock,
        lease: (tenantId, params) => orchestrator.tenant(tenantId).rates.lease(params),
      });
  }

  /** @throws {OrchestratorError} `rate_limited` */
  ofAddress(address: string | undefined, covered: CoveredBy): void {
    if (this.#addresses && address !== undefined)
      this.#check('address', this.#addresses.take(address), covered);
  }

  /**
   * A request of a client, before its body is read.
   *
   * @throws {OrchestratorError} `rate_limited`; `storage_unavailable` when the limit of the tenant cannot be checked.
   */
  async ofClient(tenantId: string, token: string, covered: CoveredBy): Promise<void> {
    if (this.#credentials) {
      const digest = createHmac('sha256', this.#secret).update(token).digest('base64');
      this.#check('credential', this.#credentials.take(digest), covered);
    }
    if (this.#tenants) this.#check('tenant', await this.#tenants.take(tenantId), covered);
  }

  /**
   * A login, unless too many from its address have failed.
   *
   * @throws {OrchestratorError} `rate_limited`, or the error of `work`; `unauthorized` counts as a failed login.
   */
  async login<T>({ address, token, ticket, covered }: LoginTry, work: () => Promise<T>): Promise<T> {
    const logins = this.#logins;
    if (!logins || address === undefined || (token === undefined && ticket === null)) return work();
    const state = logins.check(address, token);
    if (state) this.#check('logins', state, covered);
    try {
      const result = await work();
      if (token !== undefined) logins.succeeded(token);
      return result;
    } catch (error) {
      if (error instanceof OrchestratorError && error.code === 'unauthorized')
        covered.note('logins', logins.failed(address));
      throw error;
    }
  }

  #check(name: LimitName, state: RateState, covered: CoveredBy): void {
    if (!state.isAllowed) this.refused[name] += 1;
    covered.check(name, state);
  }
}

import type { Clock } from '../runtime/clock.js';
import { type Logger, silentLogger } from '../runtime/logger.js';
import { OrchestratorError } from '../protocol/errors.js';
import { toTaskError } from '../protocol/thrown.js';
import type { ServiceCall } from '../protocol/service-call.js';
import type { Random } from '../runtime/random.js';
import type { StepAnswer } from '../storage/call-journal.js';
import type { Breaker } from './breaker.js';
import { Breakers, type OpenedBreaker } from './breakers.js';
import { type Sender, throughStages } from './call-stage.js';
import { HttpClient } from './http-client.js';
import { sendHttp } from './http-sender.js';
import { sendInProcess } from './in-process-sender.js';
import { type CheckedService, checkService, type ServiceSettings } from './service-settings.js';
import { limitConcurrency } from './stages/concurrency.js';
import { resend } from './stages/resend.js';
import { trace } from './stages/trace.js';

/** Registry and client of the services; the only outbound path, for workflows and the gateway. */
export class ServiceCaller {
  readonly #services = new Map<string, CheckedService>();
  readonly #client = new HttpClient();
  readonly #breakers: Breakers;
  readonly #send: Sender;

  constructor(ports: {
    readonly clock: Clock;
    readonly random: Random;
    /** Default: silent. */
    readonly logger?: Logger;
    /** Called when a circuit breaker opens. */
    readonly opened?: (opened: OpenedBreaker) => void;
  }) {
    const { clock, random, logger = silentLogger, opened = () => {} } = ports;
    this.#breakers = new Breakers(clock, opened);
    const stages = [trace, limitConcurrency(), resend(clock, random, this.#breakers)];
    this.#send = throughStages(stages, (call) =>
      call.service.in === 'http'
        ? sendHttp({ client: this.#client, clock, logger }, call)
        : sendInProcess({ clock, logger }, call),
    );
  }

  /** Adds or replaces a service. @throws {OrchestratorError} `invalid_request` */
  add(name: string, settings: ServiceSettings): void {
    const service = checkService(name, settings);
    // Ahead of the first call, which reports a failure to load.
    if (service.in === 'http') this.#client.load().catch(() => undefined);
    this.#services.set(name, service);
  }

  names(): readonly string[] {
    return [...this.#services.keys()];
  }

  /** Shared breakers by service; services never called are absent. */
  breakerStates(): Record<string, Breaker['state']> {
    return this.#breakers.states();
  }

  /** Number of tenants whose own breaker is not closed, by service. */
  openTenantBreakers(): Record<string, number> {
    return this.#breakers.openTenants();
  }

  has(name: string): boolean {
    return this.#services.has(name);
  }

  /** @throws {OrchestratorError} `unknown_service`, listing the known ones. */
  service(name: string): CheckedService {
    const service = this.#services.get(name);
    if (service) return service;
    const known = this.names().join(', ') || 'none';
    throw new OrchestratorError('unknown_service', `expected one of the services ${known}; got "${name}"`);
  }

  /** Calls a service. Never rejects: failures are outcomes. */
  async call(
    name: string,
    call: ServiceCall,
    options: { readonly traceparent?: string | undefined; readonly signal: AbortSignal },
  ): Promise<StepAnswer> {
    try {
      const result = await this.#send({ service: this.service(name), call, ...options });
      if (result.kind === 'answer') return result.answer;
      return { kind: 'outcome', outcome: { ok: false, error: result.error } };
    } catch (error) {
      return { kind: 'outcome', outcome: { ok: false, error: toTaskError(error, 'service_error') } };
    }
  }

  async close(): Promise<void> {
    await this.#client.close();
  }
}

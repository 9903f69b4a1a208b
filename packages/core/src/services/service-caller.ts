import { type Clock, inRealTime } from '../runtime/clock.js';
import { type Logger, silentLogger } from '../runtime/logger.js';
import { OrchestratorError } from '../protocol/errors.js';
import { toTaskError } from '../protocol/thrown.js';
import type { ServiceCall } from '../protocol/service-call.js';
import type { CachedValues } from '../cache/cached-values.js';
import type { Random } from '../runtime/random.js';
import type { StepAnswer } from '../storage/call-journal.js';
import type { Breaker } from './breaker.js';
import { Breakers, type OpenedBreaker } from './breakers.js';
import { type CalledService, type CallStage, type Sender, throughStages } from './call-stage.js';
import { ContractChecks } from './contracts.js';
import { hostStage, sendByHost } from './host-sender.js';
import { HttpClient } from './http-client.js';
import { sendHttp } from './http-sender.js';
import { sendInProcess } from './in-process-sender.js';
import { probeService, type ServiceKind, type ServiceProbe } from './probe-service.js';
import { type CheckedService, checkService, type ServiceSettings } from './service-settings.js';
import { cacheCalls } from './stages/cache.js';
import { limitConcurrency } from './stages/concurrency.js';
import { resend } from './stages/resend.js';
import { observe } from './stages/observe.js';
import { priceUsage } from './stages/usage.js';
import { Prices } from '../usage/price-table.js';
import { trace } from './stages/trace.js';
import { tracedSend } from './stages/traced-send.js';
import type { Hooks } from '../runtime/hooks.js';

/** Registry and client of the services; the only outbound path, for workflows and the gateway. */
export class ServiceCaller {
  /** With the chain of stages that ends in the service's sender. */
  readonly #services = new Map<string, { readonly service: CheckedService; readonly send: Sender }>();
  readonly #client = new HttpClient();
  readonly #breakers: Breakers;
  readonly #stages: readonly CallStage[];
  readonly #ports: { readonly clock: Clock; readonly logger: Logger };

  constructor(ports: {
    readonly clock: Clock;
    readonly random: Random;
    /** Default: silent. */
    readonly logger?: Logger;
    /** Called when a circuit breaker opens. */
    readonly opened?: (opened: OpenedBreaker) => void;
    /** Stages of the host. Default: none. */
    readonly stages?: readonly CallStage[];
    readonly hooks?: Hooks;
    /** For services whose answers are cached. */
    readonly cached?: CachedValues;
    /** Of the host, for what may be cached. Default: none. */
    readonly contracts?: ContractChecks;
    /** Default: no costs. */
    readonly prices?: Prices;
  }) {
    const { clock, random, logger = silentLogger, opened = () => {}, stages = [], hooks, cached } = ports;
    const { contracts = new ContractChecks(), prices = new Prices() } = ports;
    this.#ports = { clock, logger };
    this.#breakers = new Breakers(clock, opened);
    const own = stages.map((stage) => hostStage(stage, logger));
    this.#stages = [
      trace,
      ...(hooks ? [observe(clock, hooks)] : []),
      ...(cached ? [cacheCalls(cached, contracts)] : []),
      priceUsage(prices, hooks),
      ...own,
      limitConcurrency(),
      resend(clock, random, this.#breakers),
    ];
  }

  /** Adds or replaces a service. @throws {OrchestratorError} `invalid_request` */
  add(name: string, settings: ServiceSettings): void {
    const service = checkService(name, settings);
    // Ahead of the first call, which reports a failure to load.
    if (service.in === 'http') this.#client.load().catch(() => undefined);
    const sender = tracedSend(service, this.#senderOf(service));
    const { clock } = this.#ports;
    const send: Sender = clock.inFlight ? (call) => inRealTime(clock, () => sender(call)) : sender;
    this.#services.set(name, { service, send: throughStages(this.#stages, send) });
  }

  #senderOf(service: CheckedService): Sender {
    const ports = this.#ports;
    switch (service.in) {
      case 'http':
        return (call) => sendHttp({ ...ports, client: this.#client }, service, call);
      case 'process':
        return (call) => sendInProcess(ports, service, call);
      case 'sender':
        return (call) => sendByHost(ports, service, call);
      default:
        return service satisfies never;
    }
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

  /** All services, by name. */
  get kinds(): readonly ServiceKind[] {
    const all = [...this.#services.values()].map(({ service }) => ({ name: service.name, in: service.in }));
    return all.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Asks a service whether it answers. @throws {OrchestratorError} `unknown_service` */
  probe(name: string, signal: AbortSignal): Promise<ServiceProbe> {
    return probeService(this.#registered(name).service, {
      client: this.#client,
      clock: this.#ports.clock,
      signal,
    });
  }

  has(name: string): boolean {
    return this.#services.has(name);
  }

  /** @throws {OrchestratorError} `unknown_service`, listing the known ones. */
  service(name: string): CalledService {
    return this.#registered(name).service;
  }

  #registered(name: string): { readonly service: CheckedService; readonly send: Sender } {
    const registered = this.#services.get(name);
    if (registered) return registered;
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
      const { service, send } = this.#registered(name);
      const result = await send({ service, call, ...options });
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

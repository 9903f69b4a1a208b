import type { Clock, Orchestrator } from '@agent-orchestrator/core';
import type { ServiceReport } from '@agent-orchestrator/core/server';
import { CallWindow, WINDOW_S } from './call-window.js';

/** Services that are shown; calls of further ones are not counted. */
const MAX_SERVICES = 50;

interface Seen {
  readonly window: CallWindow;
  inFlight: number;
}

/** What the services of this process did during the last minutes, from the orchestrator's hooks, until it is stopped. */
export class ServiceBoard {
  readonly #seen = new Map<string, Seen>();
  readonly #ends: readonly (() => void)[];

  constructor(
    private readonly orchestrator: Orchestrator,
    private readonly clock: Clock,
  ) {
    this.#ends = [
      orchestrator.on('callStarted', ({ service }) => {
        const seen = this.#of(service);
        if (seen) seen.inFlight += 1;
      }),
      orchestrator.on('callEnded', ({ service, outcome, durationMs, cached }) => {
        const seen = this.#of(service);
        if (!seen) return;
        // A call that began before this was created.
        seen.inFlight = Math.max(0, seen.inFlight - 1);
        // Nothing was sent: it says nothing of the service.
        if (cached !== true) seen.window.add(clock.monotonic(), durationMs, outcome === 'failed');
      }),
    ];
  }

  stop(): void {
    for (const end of this.#ends) end();
  }

  /** At most 50, by name. */
  reports(): readonly ServiceReport[] {
    const { breakers, openTenantBreakers } = this.orchestrator.stats();
    const now = this.clock.monotonic();
    return this.orchestrator.services.slice(0, MAX_SERVICES).map(({ name, in: kind }) => {
      const seen = this.#seen.get(name);
      const breaker = breakers[name];
      return {
        name,
        in: kind,
        ...(breaker !== undefined && { breaker }),
        open_tenant_breakers: openTenantBreakers[name] ?? 0,
        in_flight: seen?.inFlight ?? 0,
        ...(seen ? seen.window.sums(now) : { calls: 0, errors: 0 }),
        window_s: WINDOW_S,
      };
    });
  }

  /** Like `reports`, of all or one, each asked whether it answers. @throws {OrchestratorError} `unknown_service` */
  async pinged(name: string | undefined, signal: AbortSignal): Promise<readonly ServiceReport[]> {
    const all = this.reports();
    const chosen = name === undefined ? all : all.filter((service) => service.name === name);
    if (name !== undefined && chosen.length === 0) await this.orchestrator.probeService(name, { signal });
    return Promise.all(
      chosen.map(async (service) => {
        const ping = await this.orchestrator.probeService(service.name, { signal });
        return { ...service, ping };
      }),
    );
  }

  #of(service: string): Seen | undefined {
    const known = this.#seen.get(service);
    if (known || this.#seen.size >= MAX_SERVICES) return known;
    const seen = { window: new CallWindow(), inFlight: 0 };
    this.#seen.set(service, seen);
    return seen;
  }
}

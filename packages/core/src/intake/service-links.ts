import type { HubFrame } from '../protocol/service-socket.js';
import type { Clock } from '../clock.js';
import type { Storage } from '../storage/storage.js';

/** A way to a service: an open socket, or a notifier in this process. */
export interface ServiceLink {
  /** The `connection_id` that the service was told. */
  readonly id: string;
  readonly service: string;
  /** Tenants within its token's scope now: looked at for each frame. Default: all. */
  readonly tenants?: ReadonlySet<string> | undefined;
  send(frame: HubFrame): void;
}

interface Undelivered {
  readonly frame: HubFrame;
  readonly until: number;
}

/** How long an outcome waits for a service that is reconnecting. */
const KEPT_MS = 60_000;
const MAX_KEPT = 1_000;

/** The services that are connected to this process, and what they are to be told. */
export class ServiceLinks {
  readonly #links = new Map<string, Set<ServiceLink>>();
  readonly #undelivered = new Map<string, Undelivered[]>();
  #hangUp: () => void = () => {};

  constructor(private readonly ports: { readonly storage: Storage; readonly clock: Clock }) {}

  start(): void {
    this.#hangUp();
    this.#hangUp = this.ports.storage.bells.listen((bell) => {
      if (bell.bell === 'call_cancelled') this.send(bell.service, bell.frame);
    });
  }

  stop(): void {
    this.#hangUp();
  }

  /** Returns how to detach. What waited for the service is sent at once. */
  attach(link: ServiceLink): () => void {
    const links = this.#links.get(link.service) ?? new Set();
    this.#links.set(link.service, links.add(link));
    const now = this.ports.clock.now();
    const waiting = this.#undelivered.get(link.service) ?? [];
    this.#undelivered.delete(link.service);
    for (const { frame, until } of waiting) if (until > now && mayHear(link, frame)) link.send(frame);
    return () => {
      links.delete(link);
      if (links.size === 0 && this.#links.get(link.service) === links) this.#links.delete(link.service);
    };
  }

  /** Tells every connection of a service, or only `replyTo`; false when nobody heard. */
  send(service: string, frame: HubFrame, replyTo?: string): boolean {
    let heard = false;
    for (const link of this.#links.get(service) ?? []) {
      if ((replyTo !== undefined && link.id !== replyTo) || !mayHear(link, frame)) continue;
      link.send(frame);
      heard = true;
    }
    return heard;
  }

  /** Like `send`; what nobody heard is sent to whoever connects within a minute. */
  deliver(service: string, frame: HubFrame, replyTo?: string): void {
    if (this.send(service, frame, replyTo)) return;
    const until = this.ports.clock.now() + KEPT_MS;
    const kept = [...(this.#undelivered.get(service) ?? []), { frame, until }];
    this.#undelivered.set(service, kept.slice(-MAX_KEPT));
  }
}

function mayHear(link: ServiceLink, frame: HubFrame): boolean {
  return link.tenants === undefined || link.tenants.has(frame.tenant_id);
}

import { writeJson } from '../protocol/known-text.js';
import type { HubFrame } from '../protocol/service-socket.js';
import type { Clock } from '../runtime/clock.js';
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
  readonly bytes: number;
  readonly until: number;
}

/** How long an outcome waits for a service that is reconnecting. */
const KEPT_MS = 60_000;
/** So many outcomes of a service wait, and so many bytes of them as JSON; the oldest give way. */
const MAX_KEPT = 1_000;
const MAX_KEPT_BYTES = 16 * 1024 * 1024;

/** Outcomes for one service that is not connected, the oldest first. */
class Waiting {
  #frames: Undelivered[] = [];
  #bytes = 0;

  add(frame: HubFrame, until: number): void {
    const bytes = Buffer.byteLength(writeJson(frame));
    this.#frames.push({ frame, bytes, until });
    this.#bytes += bytes;
  }

  /** Drops what is past its time, or has no room. Returns when the next one is. */
  trim(now: number): number | undefined {
    let gone = 0;
    for (const { bytes, until } of this.#frames) {
      const fits = this.#frames.length - gone <= MAX_KEPT && this.#bytes <= MAX_KEPT_BYTES;
      if (fits && until > now) break;
      this.#bytes -= bytes;
      gone += 1;
    }
    this.#frames.splice(0, gone);
    return this.#frames[0]?.until;
  }

  get frames(): readonly HubFrame[] {
    return this.#frames.map(({ frame }) => frame);
  }
}

/** The services that are connected to this process, and what they are to be told. */
export class ServiceLinks {
  readonly #links = new Map<string, Set<ServiceLink>>();
  readonly #waiting = new Map<string, Waiting>();
  #cancelExpiry: (() => void) | undefined;
  #unsubscribe: () => void = () => {};

  constructor(private readonly ports: { readonly storage: Storage; readonly clock: Clock }) {}

  start(): void {
    this.#unsubscribe();
    this.#unsubscribe = this.ports.storage.wakeups.subscribe((wakeup) => {
      if (wakeup.kind === 'call_cancelled') this.send(wakeup.service, wakeup.frame);
    });
  }

  stop(): void {
    this.#unsubscribe();
    this.#cancelExpiry?.();
    this.#cancelExpiry = undefined;
    this.#waiting.clear();
  }

  /** Returns how to detach. What waited for the service is sent at once. */
  attach(link: ServiceLink): () => void {
    const links = this.#links.get(link.service) ?? new Set();
    this.#links.set(link.service, links.add(link));
    this.#expire();
    const frames = this.#waiting.get(link.service)?.frames ?? [];
    this.#waiting.delete(link.service);
    for (const frame of frames) if (mayHear(link, frame)) link.send(frame);
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
    const waiting = this.#waiting.get(service) ?? new Waiting();
    this.#waiting.set(service, waiting);
    waiting.add(frame, this.ports.clock.now() + KEPT_MS);
    this.#expire();
  }

  /** Drops what has waited for too long, and looks again when the next one has. */
  #expire(): void {
    const now = this.ports.clock.now();
    let first = Number.POSITIVE_INFINITY;
    for (const [service, waiting] of this.#waiting) {
      const next = waiting.trim(now);
      if (next === undefined) this.#waiting.delete(service);
      else first = Math.min(first, next);
    }
    this.#cancelExpiry?.();
    const isAny = Number.isFinite(first);
    this.#cancelExpiry = isAny ? this.ports.clock.after(first - now, () => this.#expire()) : undefined;
  }
}

function mayHear(link: ServiceLink, frame: HubFrame): boolean {
  return link.tenants === undefined || link.tenants.has(frame.tenant_id);
}

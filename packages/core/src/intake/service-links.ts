import { writeJson } from '../protocol/known-text.js';
import type { HubFrame } from '../protocol/service-socket.js';
import type { Clock } from '../runtime/clock.js';
import { Fifo } from '../runtime/fifo.js';
import type { Storage } from '../storage/storage.js';

/** Link to a service: an open socket, or an in-process notifier. */
export interface ServiceLink {
  /** The `connection_id` sent to the service. */
  readonly id: string;
  readonly service: string;
  /** Tenants in the current scope of its token; read for each frame. Default: all. */
  readonly tenants?: ReadonlySet<string> | undefined;
  send(frame: HubFrame): void;
}

interface Undelivered {
  readonly frame: HubFrame;
  readonly bytes: number;
  readonly until: number;
}

/** Time that outcomes are queued for a disconnected service. */
const QUEUED_MS = 60_000;
/** Limits of the outcomes queued per service, in number and JSON bytes; beyond them, the oldest are dropped. */
const MAX_QUEUED = 1_000;
const MAX_QUEUED_BYTES = 16 * 1024 * 1024;

/** Outcomes queued for a disconnected service, oldest first. */
class OutcomeQueue {
  readonly #frames = new Fifo<Undelivered>();
  #bytes = 0;

  add(frame: HubFrame, until: number): void {
    const bytes = Buffer.byteLength(writeJson(frame));
    this.#frames.push({ frame, bytes, until });
    this.#bytes += bytes;
  }

  /** Drops expired and excess frames. Returns the expiry of the next one. */
  trim(now: number): number | undefined {
    for (let oldest = this.#frames.first; oldest; oldest = this.#frames.first) {
      const fits = this.#frames.size <= MAX_QUEUED && this.#bytes <= MAX_QUEUED_BYTES;
      if (fits && oldest.until > now) return oldest.until;
      this.#bytes -= oldest.bytes;
      this.#frames.shift();
    }
    return undefined;
  }

  get frames(): readonly HubFrame[] {
    return Array.from(this.#frames, ({ frame }) => frame);
  }
}

/** Services connected to this process, and the frames queued for disconnected ones. */
export class ServiceLinks {
  readonly #links = new Map<string, Set<ServiceLink>>();
  readonly #queues = new Map<string, OutcomeQueue>();
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
    this.#queues.clear();
  }

  /** Adds a link and sends queued frames. The returned function detaches it. */
  attach(link: ServiceLink): () => void {
    const links = this.#links.get(link.service) ?? new Set();
    this.#links.set(link.service, links.add(link));
    this.#expire();
    const frames = this.#queues.get(link.service)?.frames ?? [];
    this.#queues.delete(link.service);
    for (const frame of frames) if (isInScope(link, frame)) link.send(frame);
    return () => {
      links.delete(link);
      if (links.size === 0 && this.#links.get(link.service) === links) this.#links.delete(link.service);
    };
  }

  /** Sends to every connection of a service, or only to `replyTo`; `false` without a recipient. */
  send(service: string, frame: HubFrame, replyTo?: string): boolean {
    let sent = false;
    for (const link of this.#links.get(service) ?? []) {
      if ((replyTo !== undefined && link.id !== replyTo) || !isInScope(link, frame)) continue;
      link.send(frame);
      sent = true;
    }
    return sent;
  }

  /** Like `send`; without a recipient, queues the frame for connections within a minute. */
  deliver(service: string, frame: HubFrame, replyTo?: string): void {
    if (this.send(service, frame, replyTo)) return;
    const queue = this.#queues.get(service) ?? new OutcomeQueue();
    this.#queues.set(service, queue);
    queue.add(frame, this.ports.clock.now() + QUEUED_MS);
    this.#expire();
  }

  /** Drops expired frames and sets a timer for the next expiry. */
  #expire(): void {
    const now = this.ports.clock.now();
    let first = Number.POSITIVE_INFINITY;
    for (const [service, queue] of this.#queues) {
      const next = queue.trim(now);
      if (next === undefined) this.#queues.delete(service);
      else first = Math.min(first, next);
    }
    this.#cancelExpiry?.();
    const isAny = Number.isFinite(first);
    this.#cancelExpiry = isAny ? this.ports.clock.after(first - now, () => this.#expire()) : undefined;
  }
}

function isInScope(link: ServiceLink, frame: HubFrame): boolean {
  return link.tenants === undefined || link.tenants.has(frame.tenant_id);
}

import type { Ack } from '../protocol/service-socket.js';
import type { OutgoingNotification } from './transport.js';

/** One notification that has no ack yet. Several callers wait for it when progress was coalesced. */
export interface OutboxEntry {
  notification: OutgoingNotification;
  bytes: number;
  /** Being sent; what is not may still be replaced by newer progress. */
  sent: boolean;
  readonly acked: Promise<Ack>;
  readonly resolve: (ack: Ack) => void;
  readonly reject: (error: Error) => void;
}

export interface OutboxLimits {
  /** Default 10,000. */
  readonly maxMessages: number;
  /** Default 64 MiB. */
  readonly maxBytes: number;
}

/**
 * What a service has reported and the hub has not acknowledged yet, oldest first. Bounded: progress that was not
 * sent yet is replaced by newer progress of the same job, everything else is refused once the outbox is full.
 */
export class Outbox {
  readonly #entries = new Map<string, OutboxEntry>();
  /** Progress that was not sent yet, by job. */
  readonly #unsentProgress = new Map<string, OutboxEntry>();
  #bytes = 0;

  constructor(private readonly limits: OutboxLimits) {}

  get size(): number {
    return this.#entries.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Takes a notification, or says that there is no room. */
  put(notification: OutgoingNotification, bytes: number): OutboxEntry | 'full' {
    const job = jobOf(notification);
    const replaced = notification.event === 'task_status_update' ? this.#unsentProgress.get(job) : undefined;
    if (replaced && this.#bytes - replaced.bytes + bytes <= this.limits.maxBytes) {
      this.#bytes += bytes - replaced.bytes;
      // It keeps its place and its message id; callers who waited for the older progress wait for this one.
      replaced.notification = { ...notification, message_id: replaced.notification.message_id };
      replaced.bytes = bytes;
      return replaced;
    }
    if (this.#entries.size >= this.limits.maxMessages || this.#bytes + bytes > this.limits.maxBytes)
      return 'full';
    const entry = newEntry(notification, bytes);
    this.#entries.set(notification.message_id, entry);
    this.#bytes += bytes;
    if (notification.event === 'task_status_update') this.#unsentProgress.set(job, entry);
    else this.#unsentProgress.delete(job);
    return entry;
  }

  /** The next one to send, now marked as sent. */
  take(): OutboxEntry | undefined {
    for (const entry of this.#entries.values()) {
      if (entry.sent) continue;
      entry.sent = true;
      const job = jobOf(entry.notification);
      if (this.#unsentProgress.get(job) === entry) this.#unsentProgress.delete(job);
      return entry;
    }
    return undefined;
  }

  /** To be sent again. */
  putBack(entry: OutboxEntry): void {
    entry.sent = false;
  }

  remove(entry: OutboxEntry): void {
    if (this.#entries.delete(entry.notification.message_id)) this.#bytes -= entry.bytes;
  }

  entries(): readonly OutboxEntry[] {
    return [...this.#entries.values()];
  }
}

function jobOf(notification: OutgoingNotification): string {
  return `${notification.tenant_id}\n${notification.task_id}`;
}

function newEntry(notification: OutgoingNotification, bytes: number): OutboxEntry {
  let resolve: (ack: Ack) => void = () => {};
  let reject: (error: Error) => void = () => {};
  const acked = new Promise<Ack>((onAck, onError) => {
    resolve = onAck;
    reject = onError;
  });
  return { notification, bytes, sent: false, acked, resolve, reject };
}

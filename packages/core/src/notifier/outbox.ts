import type { Ack } from '../protocol/service-socket.js';
import { Fifo } from './fifo.js';
import type { OutgoingNotification } from './transport.js';

/** A notification as the outbox takes it. */
export interface OutboxMessage extends OutgoingNotification {
  /** Whose it is: notifications of one job stay in order. */
  readonly job: string;
  /** Progress may be replaced by newer progress until it is sent; everything else is kept. */
  readonly progress: boolean;
  /** Grows from one notification to the next. */
  readonly seq: number;
  /** Of `text` as UTF-8. */
  readonly bytes: number;
}

/** One notification that has no ack yet. Several callers wait for it when progress was replaced. */
export interface OutboxEntry {
  message: OutboxMessage;
  readonly queue: JobQueue;
  readonly acked: Promise<Ack>;
  readonly resolve: (ack: Ack) => void;
  readonly reject: (error: Error) => void;
}

/** The notifications of one job that have no ack yet. While it rests, none of them is sent. */
export interface JobQueue {
  /** Never sent, in order. */
  readonly waiting: Fifo<OutboxEntry>;
  /** Sent in vain, in order. */
  again: OutboxEntry[];
  /** Sent and without ack, those in `again` included. */
  inFlight: number;
  idle: boolean;
  /** How often in a row it went wrong. */
  failures: number;
  /** Among the queues that have something to send. */
  offered: boolean;
}

export interface OutboxOptions {
  readonly maxMessages: number;
  readonly maxBytes: number;
  /** Whether several notifications of a job may be under way at once. */
  readonly pipelined: boolean;
}

/**
 * What a service has reported and the hub has not acknowledged yet, a queue for each job; the queues take turns. Bounded:
 * progress that was not sent yet gives its place to newer progress of the same job, or, when there is no other room, to
 * what comes after it; beyond that everything is refused.
 */
export class Outbox {
  readonly #entries = new Set<OutboxEntry>();
  readonly #queues = new Map<string, JobQueue>();
  readonly #offered = new Fifo<JobQueue>();
  #bytes = 0;

  constructor(private readonly options: OutboxOptions) {}

  get size(): number {
    return this.#entries.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Takes a notification, or says that there is no room. */
  put(message: OutboxMessage): OutboxEntry | 'full' {
    const { maxMessages, maxBytes } = this.options;
    const full = this.#entries.size >= maxMessages || this.#bytes + message.bytes > maxBytes;
    const last = this.#queues.get(message.job)?.waiting.last;
    if (last?.message.progress && (message.progress || full)) {
      const bytes = this.#bytes - last.message.bytes + message.bytes;
      if (bytes > maxBytes) return 'full';
      this.#bytes = bytes;
      last.message = message;
      return last;
    }
    if (full) return 'full';
    const queue = this.#queue(message.job);
    const entry = newEntry(message, queue);
    this.#entries.add(entry);
    this.#bytes += message.bytes;
    queue.waiting.push(entry);
    this.#offer(queue);
    return entry;
  }

  /** The next one that was never sent; it now counts as sent. */
  take(): OutboxEntry | undefined {
    for (let queue = this.#offered.shift(); queue; queue = this.#offered.shift()) {
      queue.offered = false;
      // One that rests is offered again when it wakes.
      const entry = queue.idle ? undefined : queue.waiting.shift();
      if (!entry) continue;
      queue.inFlight += 1;
      this.#offer(queue);
      return entry;
    }
    return undefined;
  }

  /** It was sent in vain: its queue rests until `wake`. */
  putBack(entry: OutboxEntry): void {
    const { queue } = entry;
    const place = queue.again.findLastIndex(({ message }) => message.seq < entry.message.seq) + 1;
    queue.again.splice(place, 0, entry);
    queue.idle = true;
  }

  /** Ends the rest of a queue; what is to be sent again, in order. */
  wake(queue: JobQueue): readonly OutboxEntry[] {
    const again = queue.again;
    queue.again = [];
    queue.idle = false;
    this.#offer(queue);
    return again;
  }

  /** It needs no more sending. */
  remove(entry: OutboxEntry): void {
    if (!this.#entries.delete(entry)) return;
    const { queue, message } = entry;
    this.#bytes -= message.bytes;
    queue.inFlight -= 1;
    if (queue.inFlight === 0 && queue.waiting.size === 0) this.#queues.delete(message.job);
    else this.#offer(queue);
  }

  /** Empties it; what was in it, oldest first. */
  clear(): readonly OutboxEntry[] {
    const entries = [...this.#entries];
    this.#entries.clear();
    this.#queues.clear();
    this.#bytes = 0;
    return entries;
  }

  #queue(job: string): JobQueue {
    let queue = this.#queues.get(job);
    if (!queue) {
      queue = {
        waiting: new Fifo(),
        again: [],
        inFlight: 0,
        idle: false,
        failures: 0,
        offered: false,
      };
      this.#queues.set(job, queue);
    }
    return queue;
  }

  #offer(queue: JobQueue): void {
    const blocked = !this.options.pipelined && queue.inFlight > 0;
    if (blocked || queue.offered || queue.waiting.size === 0) return;
    queue.offered = true;
    this.#offered.push(queue);
  }
}

function newEntry(message: OutboxMessage, queue: JobQueue): OutboxEntry {
  let resolve: (ack: Ack) => void = () => {};
  let reject: (error: Error) => void = () => {};
  const acked = new Promise<Ack>((onAck, onError) => {
    resolve = onAck;
    reject = onError;
  });
  return { message, queue, acked, resolve, reject };
}

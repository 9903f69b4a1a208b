import type { Ack } from '../protocol/service-socket.js';
import { Fifo } from '../runtime/fifo.js';
import type { OutgoingNotification } from './transport.js';

/** A notification to put into the outbox. */
export interface OutboxMessage extends OutgoingNotification {
  /** Ordering key: notifications of one job stay in order. */
  readonly job: string;
  /** Unsent progress may be replaced by newer progress; other notifications are kept. */
  readonly progress: boolean;
  /** Increasing over notifications. */
  readonly seq: number;
  /** UTF-8 size of `text`. */
  readonly bytes: number;
}

/** An unacknowledged notification. With replaced progress, several callers wait for the same entry. */
export interface OutboxEntry {
  message: OutboxMessage;
  readonly queue: JobQueue;
  readonly acked: Promise<Ack>;
  readonly resolve: (ack: Ack) => void;
  readonly reject: (error: Error) => void;
}

/** Unacknowledged notifications of one job. While it backs off, none of them is sent. */
export interface JobQueue {
  /** Unsent entries, in order. */
  readonly waiting: Fifo<OutboxEntry>;
  /** Entries to resend, in order. */
  toResend: OutboxEntry[];
  /** Number of sent entries without an ack, including `toResend`. */
  inFlight: number;
  backingOff: boolean;
  /** Consecutive failures. */
  failures: number;
  /** In the rotation of queues with entries to send. */
  offered: boolean;
}

export interface OutboxOptions {
  readonly maxMessages: number;
  readonly maxBytes: number;
  /** Whether several notifications of a job may be in flight. */
  readonly pipelined: boolean;
}

/**
 * Unacknowledged notifications, in one queue per job; queues are served round robin. Bounded: unsent progress is replaced by
 * newer progress of its job, or, when full, by the job's next notification; otherwise a full outbox rejects.
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

  /** Adds a notification; `full` if there is no room. */
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

  /** Removes the next unsent entry from its queue, and counts it as sent. */
  take(): OutboxEntry | undefined {
    for (let queue = this.#offered.shift(); queue; queue = this.#offered.shift()) {
      queue.offered = false;
      // A queue in back-off is offered again by `resume`.
      const entry = queue.backingOff ? undefined : queue.waiting.shift();
      if (!entry) continue;
      queue.inFlight += 1;
      this.#offer(queue);
      return entry;
    }
    return undefined;
  }

  /** Returns a failed entry; its queue backs off until `resume`. */
  putBack(entry: OutboxEntry): void {
    const { queue } = entry;
    const index = queue.toResend.findLastIndex(({ message }) => message.seq < entry.message.seq) + 1;
    queue.toResend.splice(index, 0, entry);
    queue.backingOff = true;
  }

  /** Ends the back-off of a queue; returns the entries to resend, in order. */
  resume(queue: JobQueue): readonly OutboxEntry[] {
    const { toResend } = queue;
    queue.toResend = [];
    queue.backingOff = false;
    this.#offer(queue);
    return toResend;
  }

  /** Removes an acknowledged or rejected entry. */
  remove(entry: OutboxEntry): void {
    if (!this.#entries.delete(entry)) return;
    const { queue, message } = entry;
    this.#bytes -= message.bytes;
    queue.inFlight -= 1;
    if (queue.inFlight === 0 && queue.waiting.size === 0) this.#queues.delete(message.job);
    else this.#offer(queue);
  }

  /** Removes and returns all entries, oldest first. */
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
        toResend: [],
        inFlight: 0,
        backingOff: false,
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

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
  readonly line: JobLine;
  readonly acked: Promise<Ack>;
  readonly resolve: (ack: Ack) => void;
  readonly reject: (error: Error) => void;
}

/** The notifications of one job that have no ack yet. While it rests, none of them is sent. */
export interface JobLine {
  /** Never sent, in order. */
  readonly waiting: Fifo<OutboxEntry>;
  /** Sent in vain, in order. */
  again: OutboxEntry[];
  /** Sent and without ack, those in `again` included. */
  underWay: number;
  resting: boolean;
  /** How often in a row it went wrong. */
  failures: number;
  /** Among the lines that have something to send. */
  offered: boolean;
}

export interface OutboxOptions {
  readonly maxMessages: number;
  readonly maxBytes: number;
  /** Whether several notifications of a job may be under way at once. */
  readonly pipelined: boolean;
}

/**
 * What a service has reported and the hub has not acknowledged yet, a line for each job; the lines take turns. Bounded:
 * progress that was not sent yet gives its place to newer progress of the same job, or, when there is no other room, to
 * what comes after it; beyond that everything is refused.
 */
export class Outbox {
  readonly #entries = new Set<OutboxEntry>();
  readonly #lines = new Map<string, JobLine>();
  readonly #offered = new Fifo<JobLine>();
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
    const last = this.#lines.get(message.job)?.waiting.last;
    if (last?.message.progress && (message.progress || full)) {
      const bytes = this.#bytes - last.message.bytes + message.bytes;
      if (bytes > maxBytes) return 'full';
      this.#bytes = bytes;
      last.message = message;
      return last;
    }
    if (full) return 'full';
    const line = this.#line(message.job);
    const entry = newEntry(message, line);
    this.#entries.add(entry);
    this.#bytes += message.bytes;
    line.waiting.push(entry);
    this.#offer(line);
    return entry;
  }

  /** The next one that was never sent; it now counts as sent. */
  take(): OutboxEntry | undefined {
    for (let line = this.#offered.shift(); line; line = this.#offered.shift()) {
      line.offered = false;
      // One that rests is offered again when it wakes.
      const entry = line.resting ? undefined : line.waiting.shift();
      if (!entry) continue;
      line.underWay += 1;
      this.#offer(line);
      return entry;
    }
    return undefined;
  }

  /** It was sent in vain: its line rests until `wake`. */
  putBack(entry: OutboxEntry): void {
    const { line } = entry;
    const place = line.again.findLastIndex(({ message }) => message.seq < entry.message.seq) + 1;
    line.again.splice(place, 0, entry);
    line.resting = true;
  }

  /** Ends the rest of a line; what is to be sent again, in order. */
  wake(line: JobLine): readonly OutboxEntry[] {
    const again = line.again;
    line.again = [];
    line.resting = false;
    this.#offer(line);
    return again;
  }

  /** It needs no more sending. */
  remove(entry: OutboxEntry): void {
    if (!this.#entries.delete(entry)) return;
    const { line, message } = entry;
    this.#bytes -= message.bytes;
    line.underWay -= 1;
    if (line.underWay === 0 && line.waiting.size === 0) this.#lines.delete(message.job);
    else this.#offer(line);
  }

  /** Empties it; what was in it, oldest first. */
  clear(): readonly OutboxEntry[] {
    const entries = [...this.#entries];
    this.#entries.clear();
    this.#lines.clear();
    this.#bytes = 0;
    return entries;
  }

  #line(job: string): JobLine {
    let line = this.#lines.get(job);
    if (!line) {
      line = {
        waiting: new Fifo(),
        again: [],
        underWay: 0,
        resting: false,
        failures: 0,
        offered: false,
      };
      this.#lines.set(job, line);
    }
    return line;
  }

  #offer(line: JobLine): void {
    const blocked = !this.options.pipelined && line.underWay > 0;
    if (blocked || line.offered || line.waiting.size === 0) return;
    line.offered = true;
    this.#offered.push(line);
  }
}

function newEntry(message: OutboxMessage, line: JobLine): OutboxEntry {
  let resolve: (ack: Ack) => void = () => {};
  let reject: (error: Error) => void = () => {};
  const acked = new Promise<Ack>((onAck, onError) => {
    resolve = onAck;
    reject = onError;
  });
  return { message, line, acked, resolve, reject };
}

import type { Clock } from '@agent-orchestrator/core';
import { every, type LogGap } from '@agent-orchestrator/core/storage';
import type { PubSubWakeups } from '../pubsub/wakeups.js';

/** A read page of a log. */
export interface Page<E> {
  readonly events: readonly E[];
  readonly gap?: LogGap;
  readonly epoch: string | null;
  /** Position of the page's last event. */
  readonly seq: number;
  /** Last position of the log. */
  readonly head: number;
}

/**
 * Entry of a log in a wakeup. `last` is the position of its last event. `count` is infinite where wakeups
 * have only some of the events, so that a missing one is never relevant.
 */
export interface Entry<E> {
  /** Start of its log's epoch. */
  readonly epochStart: string;
  readonly last: number;
  readonly count: number;
  /** Its events after a position; `undefined` when the wakeup alone does not suffice. */
  readonly after: (seq: number, epoch: string | null) => readonly E[] | undefined;
}

interface FollowerPorts<E> {
  readonly wakeups: Pick<PubSubWakeups, 'follow' | 'connectionEpoch'>;
  /** The log's channel. */
  readonly channel: string;
  /** Reads from a cursor; the server publishes `mark` on the channel in the same step. */
  readonly read: (after: string, mark: string) => Promise<Page<E>>;
  readonly entryOf: (wakeup: string) => Entry<E>;
  readonly cursorOf: (epoch: string | null, seq: number) => string;
  readonly pollMs: number;
  readonly timers: Clock;
  /** Whether wakeups are handled before everything else that arrived in the same turn of the event loop. */
  readonly isUrgent?: boolean;
  /**
   * Whether wakeups carry entries. They do not where several servers publish on a channel, as on a Cluster.
   */
  readonly takesEntries: boolean;
}

/** Maximum of buffered wakeups, in characters; beyond that the follower reads the log. */
const MAX_BUFFERED = 1_048_576;
const MARK = '= ';

/** A read, and the proof that the subscription continues where it ended. */
interface Proof {
  readonly mark: string;
  readonly connectionEpoch: number;
  isMarkReceived: boolean;
  isAnswered: boolean;
  /** Messages may have been lost while the answer was on its way. */
  mayHaveMissed: boolean;
}

/**
 * Follower of a log. It reads at the start, and whenever it may have missed something. In between it takes
 * appended entries from wakeups, as long as it is in sync: it has received the mark that the server published
 * when it answered the last read, and no connection was lost since. Then the channel's messages come from the
 * server that keeps this log, in order and complete, and continue where the read has ended. See ADR 9.
 */
export class LogFollower<E> {
  #buffered: string[] = [];
  #bufferedLength = 0;
  #mustRead = true;
  #wake: () => void = () => {};
  #proof: Proof | undefined;
  #marks = 0;
  readonly #name = crypto.randomUUID();

  constructor(private readonly ports: FollowerPorts<E>) {}

  async *follow(after: string, signal: AbortSignal): AsyncGenerator<E | LogGap> {
    await afterThisTurn();
    const unsubscribe = this.ports.wakeups.follow(this.ports.channel, (message) => this.#receive(message));
    // The channel is only published to while a follower has read of late; and a wakeup may be lost.
    const stopPolling = every(this.ports.timers, this.ports.pollMs, () => this.#poll());
    const end = () => this.#wake();
    signal.addEventListener('abort', end, { once: true });
    try {
      let cursor = after;
      let position: { epoch: string | null; seq: number } = { epoch: null, seq: 0 };
      while (!signal.aborted) {
        const page: Pick<Page<E>, 'events' | 'gap' | 'epoch' | 'seq'> | undefined = this.#mustRead
          ? await this.#read(cursor)
          : this.#next(position);
        if (!page) {
          if (!this.#mustRead) await this.#wakeup(signal);
          continue;
        }
        position = page;
        cursor = this.ports.cursorOf(page.epoch, page.seq);
        if (page.gap) yield page.gap;
        for (const event of page.events) {
          if (signal.aborted) return;
          yield event;
        }
      }
    } finally {
      unsubscribe();
      stopPolling();
      signal.removeEventListener('abort', end);
    }
  }

  #receive(message: string): void {
    if (message.startsWith(MARK)) return this.#receiveMark(message.slice(MARK.length));
    if (message === '') return this.#mayHaveMissed();
    this.#buffered.push(message);
    this.#bufferedLength += message.length;
    if (this.#bufferedLength > MAX_BUFFERED) this.#fallBackToRead();
    this.#wake();
  }

  #receiveMark(mark: string): void {
    const proof = this.#proof;
    if (mark !== proof?.mark) return;
    // Everything received before the mark, also a reason to read again, is in the answer of that read.
    proof.isMarkReceived = true;
    proof.mayHaveMissed = false;
    this.#clearBuffer();
  }

  #mayHaveMissed(): void {
    if (this.#isInSync()) return;
    if (this.#proof?.isAnswered === false) this.#proof.mayHaveMissed = true;
    else this.#poll();
  }

  #poll(): void {
    this.#mustRead = true;
    this.#wake();
  }

  #clearBuffer(): void {
    this.#buffered = [];
    this.#bufferedLength = 0;
  }

  #fallBackToRead(): void {
    this.#clearBuffer();
    this.#mustRead = true;
  }

  #isInSync(): boolean {
    const proof = this.#proof;
    return (
      proof !== undefined &&
      proof.isMarkReceived &&
      proof.connectionEpoch === this.ports.wakeups.connectionEpoch
    );
  }

  async #read(after: string): Promise<Page<E>> {
    this.#mustRead = false;
    const { wakeups, takesEntries } = this.ports;
    const mark = takesEntries ? `${this.#name}/${(this.#marks += 1)}` : '';
    const proof: Proof = {
      mark,
      connectionEpoch: wakeups.connectionEpoch,
      isMarkReceived: false,
      isAnswered: false,
      mayHaveMissed: false,
    };
    this.#proof = proof;
    const page = await this.ports.read(after, mark);
    // The answer and the mark come on two connections, mostly in the same turn of the event loop.
    if (proof.mayHaveMissed) await afterThisTurn();
    proof.isAnswered = true;
    if (page.seq < page.head || proof.mayHaveMissed) this.#mustRead = true;
    return page;
  }

  /** Events of the next wakeup; nothing when there is none, or when a read is needed. */
  #next({ epoch, seq }: { readonly epoch: string | null; readonly seq: number }) {
    const wakeup = this.#buffered.shift();
    if (wakeup === undefined) return undefined;
    this.#bufferedLength -= wakeup.length;
    const entry = epoch !== null && this.#isInSync() ? this.#entryOf(wakeup) : undefined;
    // Otherwise a repeat, or messages were lost, or the log is a new one.
    const isNext =
      entry && epoch?.startsWith(entry.epochStart) && entry.last > seq && entry.last - entry.count <= seq;
    const events = isNext ? entry.after(seq, epoch) : undefined;
    if (entry && events) return { events, epoch, seq: entry.last };
    this.#fallBackToRead();
    return undefined;
  }

  /** Nothing for an unreadable message, such as one of another version: then the log is read. */
  #entryOf(wakeup: string): Entry<E> | undefined {
    try {
      return this.ports.entryOf(wakeup);
    } catch {
      return undefined;
    }
  }

  async #wakeup(signal: AbortSignal): Promise<void> {
    if (this.#buffered.length > 0 || this.#mustRead || signal.aborted) return;
    await new Promise<void>((resolve) => {
      this.#wake = () => {
        this.#wake = () => {};
        resolve();
      };
    });
    if (!this.ports.isUrgent) await afterThisTurn();
  }
}

/** Lets the rest of this turn of the event loop run first: awaited answers, and wakeups for workers. */
function afterThisTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

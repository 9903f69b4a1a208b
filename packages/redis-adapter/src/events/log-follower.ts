import type { LogGap } from '@agent-orchestrator/core';
import type { PubSubWakeups } from '../pubsub/wakeups.js';

/** What was read of a log. */
export interface Page<E> {
  readonly events: readonly E[];
  readonly gap?: LogGap;
  readonly epoch: string | null;
  /** After the last of the events. */
  readonly seq: number;
  /** The last position of the log. */
  readonly head: number;
}

/**
 * What a wakeup of a log brings: an entry, whose events have the position of the last and those before. `count` is infinite
 * where wakeups bring only some of the events, and all that were missed are others.
 */
export interface Entry<E> {
  /** When the log began that it belongs to: what the epoch of that log begins with. */
  readonly began: string;
  readonly last: number;
  readonly count: number;
  /** Those after a position, or nothing when they can't be told from the wakeup alone. */
  readonly after: (seq: number, epoch: string | null) => readonly E[] | undefined;
}

interface FollowerPorts<E> {
  readonly wakeups: Pick<PubSubWakeups, 'follow' | 'connectionEpoch'>;
  /** Where he hears of the log. */
  readonly channel: string;
  /** Reads from a cursor; the server says `mark` on the channel in the same step. */
  readonly read: (after: string, mark: string) => Promise<Page<E>>;
  readonly entryOf: (wakeup: string) => Entry<E>;
  readonly cursorOf: (epoch: string | null, seq: number) => string;
  readonly lookAgainMs: number;
  /** Whether what he hears goes before whatever else came in the same turn of the event loop. */
  readonly isUrgent?: boolean;
  /** Whether wakeups may bring entries. They don't where several servers say things on a channel, as on a Cluster. */
  readonly takesEntries: boolean;
}

/** What wakeups may bring before the follower comes to it, in characters; of what is more he reads the log. */
const MOST_HEARD = 1_048_576;
const MARK = '= ';

/** A read, and what the server has said on the channel when it answered. */
interface Proof {
  readonly mark: string;
  readonly connectionEpoch: number;
  heard: boolean;
  answered: boolean;
  /** Something may have been missed while the answer was under way. */
  missed: boolean;
}

/**
 * One who follows a log. He reads where he begins, and whenever he may have missed something. From then on he takes what
 * is appended from the wakeups, which bring it, as long as he is sure: he has heard the mark that the server said when it
 * answered his last read, and no connection was lost since. Then what is said on the channel comes from the server that
 * keeps this log, in order, and all of it: it goes on where the read has ended. See ADR 9.
 */
export class LogFollower<E> {
  #heard: string[] = [];
  #heardLength = 0;
  #mustRead = true;
  #wake: () => void = () => {};
  #proof: Proof | undefined;
  #marks = 0;
  readonly #name = crypto.randomUUID();

  constructor(private readonly ports: FollowerPorts<E>) {}

  async *follow(after: string, signal: AbortSignal): AsyncGenerator<E | LogGap> {
    await afterThisTurn();
    const unsubscribe = this.ports.wakeups.follow(this.ports.channel, (message) => this.#hear(message));
    // What is said on the channel is said only while somebody has read of late; and a wakeup may be lost.
    const looking = setInterval(() => this.#lookAgain(), this.ports.lookAgainMs);
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
      clearInterval(looking);
      signal.removeEventListener('abort', end);
    }
  }

  #hear(message: string): void {
    if (message.startsWith(MARK)) return this.#hearMark(message.slice(MARK.length));
    if (message === '') return this.#mayHaveMissed();
    this.#heard.push(message);
    this.#heardLength += message.length;
    if (this.#heardLength > MOST_HEARD) this.#readInstead();
    this.#wake();
  }

  #hearMark(mark: string): void {
    const proof = this.#proof;
    if (mark !== proof?.mark) return;
    // Whatever was heard before this, and made him want to read again, is in the answer of that read.
    proof.heard = true;
    proof.missed = false;
    this.#forgetHeard();
  }

  #mayHaveMissed(): void {
    if (this.#isSure()) return;
    if (this.#proof?.answered === false) this.#proof.missed = true;
    else this.#lookAgain();
  }

  #lookAgain(): void {
    this.#mustRead = true;
    this.#wake();
  }

  #forgetHeard(): void {
    this.#heard = [];
    this.#heardLength = 0;
  }

  #readInstead(): void {
    this.#forgetHeard();
    this.#mustRead = true;
  }

  #isSure(): boolean {
    const proof = this.#proof;
    return proof !== undefined && proof.heard && proof.connectionEpoch === this.ports.wakeups.connectionEpoch;
  }

  async #read(after: string): Promise<Page<E>> {
    this.#mustRead = false;
    const { wakeups, takesEntries } = this.ports;
    const mark = takesEntries ? `${this.#name}/${(this.#marks += 1)}` : '';
    const proof: Proof = {
      mark,
      connectionEpoch: wakeups.connectionEpoch,
      heard: false,
      answered: false,
      missed: false,
    };
    this.#proof = proof;
    const page = await this.ports.read(after, mark);
    // The answer and the mark come on two connections, mostly in the same turn of the event loop.
    if (proof.missed) await afterThisTurn();
    proof.answered = true;
    if (page.seq < page.head || proof.missed) this.#mustRead = true;
    return page;
  }

  /** What the next wakeup brings; nothing when there is none, or when he has to read. */
  #next({ epoch, seq }: { readonly epoch: string | null; readonly seq: number }) {
    const wakeup = this.#heard.shift();
    if (wakeup === undefined) return undefined;
    this.#heardLength -= wakeup.length;
    const entry = epoch !== null && this.#isSure() ? this.#entryOf(wakeup) : undefined;
    // One that is not the next one was said twice, or others were lost, or the log began anew.
    const isNext =
      entry && epoch?.startsWith(entry.began) && entry.last > seq && entry.last - entry.count <= seq;
    const events = isNext ? entry.after(seq, epoch) : undefined;
    if (entry && events) return { events, epoch, seq: entry.last };
    this.#readInstead();
    return undefined;
  }

  /** Nothing for what can't be read, such as what another version has said: then the log is read. */
  #entryOf(wakeup: string): Entry<E> | undefined {
    try {
      return this.ports.entryOf(wakeup);
    } catch {
      return undefined;
    }
  }

  async #wakeup(signal: AbortSignal): Promise<void> {
    if (this.#heard.length > 0 || this.#mustRead || signal.aborted) return;
    await new Promise<void>((resolve) => {
      this.#wake = () => {
        this.#wake = () => {};
        resolve();
      };
    });
    if (!this.ports.isUrgent) await afterThisTurn();
  }
}

/** What else came in this turn of the event loop goes first: answers that somebody waits for, and wakeups for workers. */
function afterThisTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

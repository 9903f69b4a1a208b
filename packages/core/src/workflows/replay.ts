import { Fifo } from '../runtime/fifo.js';
import type { JournalChanges, JournalStep } from '../storage/call-journal.js';
import type { RequestedStep } from './requested-step.js';

/** Start positions of a replay, as journal revisions. */
export interface ReplayStart {
  /** Revision that the steps include. */
  readonly journalRev: number;
  /** Revision that the previous run had processed when it parked. */
  readonly replayedTo: number;
  /** Revision at the start of this attempt; 0 for the first. */
  readonly inherited: number;
}

/** An outcome to deliver, with the step that the function requested. */
export interface Delivery {
  readonly step: JournalStep;
  readonly requested: RequestedStep;
  /** The outcome is that of an earlier attempt. */
  readonly inherited: boolean;
}

/**
 * The journal during one run. Tracks recorded steps and steps requested by the function so far, and delivers outcomes in the
 * order in which they were recorded, however the function's branches interleave.
 *
 * Steps inherited from earlier attempts are optional, since this attempt may take another branch. Their outcomes are delivered
 * as soon as they are requested, before all others; see ADR 12.
 */
export class Replay {
  readonly #records = new Map<string, JournalStep>();
  readonly #requested = new Map<string, RequestedStep>();
  /** Undelivered outcomes, in journal order. */
  readonly #outcomes = new Fifo<JournalStep>();
  /** Inherited outcomes that are not requested yet, by key. */
  readonly #inherited = new Map<string, JournalStep>();
  /** Requested inherited outcomes, in journal order. */
  readonly #ready: JournalStep[] = [];
  readonly #unrequested = new Set<string>();
  readonly #replayedTo: number;
  readonly #startRev: number;
  #journalRev: number;
  #stepCount: number;

  constructor(steps: readonly JournalStep[], { journalRev, replayedTo, inherited }: ReplayStart) {
    this.#journalRev = journalRev;
    this.#replayedTo = replayedTo;
    this.#startRev = inherited;
    this.#stepCount = steps.length;
    for (const step of steps) {
      this.#records.set(step.key, step);
      if (!step.inherited) this.#unrequested.add(step.key);
      if (!step.outcome) continue;
      if (this.#isInherited(step)) this.#inherited.set(step.key, step);
      else this.#outcomes.push(step);
    }
  }

  /** Last known revision of the journal. */
  get journalRev(): number {
    return this.#journalRev;
  }

  /** A recorded step of this attempt that the function has not requested, if any. */
  get unrequested(): JournalStep | undefined {
    const [key] = this.#unrequested;
    return key === undefined ? undefined : this.#records.get(key);
  }

  /** Whether the function has not yet passed the point reached by an earlier run of this attempt. */
  get replaying(): boolean {
    const next = this.#outcomes.first;
    return this.#unrequested.size > 0 || (next !== undefined && next.rev <= this.#replayedTo);
  }

  /** Whether a requested step is undelivered. */
  get hasOpen(): boolean {
    for (const { delivered } of this.#requested.values()) if (!delivered) return true;
    return false;
  }

  open(): RequestedStep[] {
    return [...this.#requested.values()].filter((requested) => !requested.delivered);
  }

  requested(key: string): RequestedStep | undefined {
    return this.#requested.get(key);
  }

  /** Whether the journal has the step. */
  has(key: string): boolean {
    return this.#records.has(key);
  }

  /** Registers a requested step; returns its record, if the journal has one. */
  request(requested: RequestedStep): JournalStep | undefined {
    this.#requested.set(requested.key, requested);
    this.#unrequested.delete(requested.key);
    const inherited = this.#inherited.get(requested.key);
    if (inherited) {
      this.#inherited.delete(requested.key);
      const before = this.#ready.findIndex(({ rev }) => rev > inherited.rev);
      this.#ready.splice(before < 0 ? this.#ready.length : before, 0, inherited);
    }
    return this.#records.get(requested.key);
  }

  /** Counts a step that is to be stored. Returns the number of steps of the journal with it. */
  add(key: string): number {
    if (!this.#records.has(key)) this.#stepCount += 1;
    return this.#stepCount;
  }

  /** Adds the record of a step that was just stored. */
  begun(step: JournalStep): void {
    if (!this.#records.has(step.key)) this.#records.set(step.key, step);
  }

  /** Merges changes of the journal; returns the changed steps. */
  merge(changes: JournalChanges): JournalStep[] {
    const fresh = changes.changes.filter((step) => step.rev > this.#journalRev);
    for (const step of fresh) {
      this.#records.set(step.key, step);
      if (step.outcome) this.#outcomes.push(step);
    }
    this.#journalRev = Math.max(this.#journalRev, changes.journalRev);
    return fresh;
  }

  /** The next outcome, if its step was requested; marks it delivered. */
  nextDelivery(): Delivery | undefined {
    const step = this.#ready.shift() ?? this.#nextInOrder();
    const requested = step && this.#requested.get(step.key);
    if (!step || !requested) return undefined;
    requested.delivered = true;
    return { step, requested, inherited: this.#isInherited(step) };
  }

  #isInherited(step: JournalStep): boolean {
    return step.inherited && step.rev <= this.#startRev;
  }

  #nextInOrder(): JournalStep | undefined {
    for (;;) {
      const step = this.#outcomes.first;
      if (!step) return undefined;
      if (this.#requested.has(step.key)) return this.#outcomes.shift();
      if (!step.inherited) return undefined;
      // Begun by an earlier attempt, ended during this one, and perhaps never requested: must not block others.
      this.#outcomes.shift();
      this.#inherited.set(step.key, step);
    }
  }
}

import type { JournalChanges, JournalStep } from '../storage/call-journal.js';
import type { AskedStep } from './asked-step.js';

/** Where a run begins in its journal. */
export interface ReplayStart {
  /** The journal's last change that the steps have. */
  readonly journalRev: number;
  /** The last change that an earlier run had dealt with when it was parked. */
  readonly replayedTo: number;
  /** The last change before this attempt began; 0 for the first. */
  readonly inherited: number;
}

/**
 * A journal as one run of its workflow sees it. Keeps what was recorded apart from what the function has asked for so
 * far, and hands out outcomes in the order in which they were recorded, however the function's branches interleave.
 *
 * What earlier attempts have left is different: it may be asked for, but need not be, since this attempt may go another
 * way. It is handed out as soon as it is asked for, before everything else; see ADR 12.
 */
export class Replay {
  readonly #records = new Map<string, JournalStep>();
  readonly #asked = new Map<string, AskedStep>();
  /** Outcomes that the function has not got yet, in the journal's order. */
  readonly #outcomes: JournalStep[] = [];
  /** Inherited outcomes that were not asked for yet, by key. */
  readonly #inherited = new Map<string, JournalStep>();
  /** Inherited outcomes that were asked for, in the journal's order. */
  readonly #ready: JournalStep[] = [];
  readonly #unasked = new Set<string>();
  readonly #replayedTo: number;
  #journalRev: number;

  constructor(steps: readonly JournalStep[], { journalRev, replayedTo, inherited }: ReplayStart) {
    this.#journalRev = journalRev;
    this.#replayedTo = replayedTo;
    for (const step of steps) {
      this.#records.set(step.key, step);
      if (!step.inherited) this.#unasked.add(step.key);
      if (!step.outcome) continue;
      if (step.inherited && step.rev <= inherited) this.#inherited.set(step.key, step);
      else this.#outcomes.push(step);
    }
  }

  /** The journal's last change that is known here. */
  get journalRev(): number {
    return this.#journalRev;
  }

  /** A step of this attempt's journal that the function has not asked for, if there is one. */
  get unasked(): JournalStep | undefined {
    const [key] = this.#unasked;
    return key === undefined ? undefined : this.#records.get(key);
  }

  /** Whether the function is still where an earlier run of this attempt has been already. */
  get replaying(): boolean {
    const [next] = this.#outcomes;
    return this.#unasked.size > 0 || (next !== undefined && next.rev <= this.#replayedTo);
  }

  /** Whether the function waits for a step. */
  get hasOpen(): boolean {
    for (const { delivered } of this.#asked.values()) if (!delivered) return true;
    return false;
  }

  open(): AskedStep[] {
    return [...this.#asked.values()].filter((asked) => !asked.delivered);
  }

  asked(key: string): AskedStep | undefined {
    return this.#asked.get(key);
  }

  /** The function asks; what is recorded of it, if it is in the journal. */
  ask(asked: AskedStep): JournalStep | undefined {
    this.#asked.set(asked.key, asked);
    this.#unasked.delete(asked.key);
    const inherited = this.#inherited.get(asked.key);
    if (inherited) {
      this.#inherited.delete(asked.key);
      const before = this.#ready.findIndex(({ rev }) => rev > inherited.rev);
      this.#ready.splice(before < 0 ? this.#ready.length : before, 0, inherited);
    }
    return this.#records.get(asked.key);
  }

  /** The journal has it now. */
  begun(step: JournalStep): void {
    if (!this.#records.has(step.key)) this.#records.set(step.key, step);
  }

  /** Takes in what rev; returns the steps that were not known in this state. */
  merge(news: JournalChanges): JournalStep[] {
    const fresh = news.changes.filter((step) => step.rev > this.#journalRev);
    for (const step of fresh) {
      this.#records.set(step.key, step);
      if (step.outcome) this.#outcomes.push(step);
    }
    this.#journalRev = Math.max(this.#journalRev, news.journalRev);
    return fresh;
  }

  /** The next outcome and who asked for it, once that is asked for. */
  nextDelivery(): { readonly step: JournalStep; readonly asked: AskedStep } | undefined {
    const step = this.#ready.shift() ?? this.#nextInOrder();
    const asked = step && this.#asked.get(step.key);
    if (!step || !asked) return undefined;
    asked.delivered = true;
    return { step, asked };
  }

  #nextInOrder(): JournalStep | undefined {
    for (;;) {
      const [step] = this.#outcomes;
      if (!step) return undefined;
      if (this.#asked.has(step.key)) return this.#outcomes.shift();
      if (!step.inherited) return undefined;
      // Begun by an earlier attempt, ended during this one, and perhaps never asked for: it holds up nothing.
      this.#outcomes.shift();
      this.#inherited.set(step.key, step);
    }
  }
}

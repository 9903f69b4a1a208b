import type { JournalNews, JournalStep } from '../storage/call-journal.js';
import type { AskedStep } from './asked-step.js';

/**
 * A journal as one run of its workflow sees it. Keeps what was recorded apart from what the function has asked for so
 * far, and hands out outcomes in the order in which they were recorded, however the function's branches interleave.
 */
export class Replay {
  readonly #records = new Map<string, JournalStep>();
  readonly #asked = new Map<string, AskedStep>();
  /** Outcomes that the function has not got yet, in the journal's order. */
  #outcomes: JournalStep[] = [];
  #unasked: Set<string>;
  #seen: number;

  /** @param shown the last change that an earlier run had dealt with when it was parked. */
  constructor(
    steps: readonly JournalStep[],
    seen: number,
    private readonly shown: number,
  ) {
    for (const step of steps) {
      this.#records.set(step.key, step);
      if (step.outcome) this.#outcomes.push(step);
    }
    this.#unasked = new Set(this.#records.keys());
    this.#seen = seen;
  }

  /** The journal's last change that is known here. */
  get seen(): number {
    return this.#seen;
  }

  /** A step of the journal that the function has not asked for, if there is one. */
  get unasked(): JournalStep | undefined {
    const [key] = this.#unasked;
    return key === undefined ? undefined : this.#records.get(key);
  }

  /** Whether the function is still where an earlier run has been already. */
  get replaying(): boolean {
    const next = this.#outcomes[0];
    return this.#unasked.size > 0 || (next !== undefined && next.changed <= this.shown);
  }

  /** Whether the function waits for a step. */
  get hasOpen(): boolean {
    return this.open().length > 0;
  }

  open(): AskedStep[] {
    return [...this.#asked.values()].filter((asked) => !asked.delivered);
  }

  asked(key: string): AskedStep | undefined {
    return this.#asked.get(key);
  }

  record(key: string): JournalStep | undefined {
    return this.#records.get(key);
  }

  /** The function asks; what is recorded of it, if it is in the journal. */
  ask(asked: AskedStep): JournalStep | undefined {
    this.#asked.set(asked.key, asked);
    this.#unasked.delete(asked.key);
    return this.#records.get(asked.key);
  }

  /** The journal has it now. */
  begun(step: JournalStep): void {
    if (!this.#records.has(step.key)) this.#records.set(step.key, step);
  }

  /** Takes in what changed; returns the steps that were not known in this state. */
  merge(news: JournalNews): JournalStep[] {
    const fresh = news.changes.filter((step) => step.changed > this.#seen);
    for (const step of fresh) {
      this.#records.set(step.key, step);
      if (step.outcome) this.#outcomes.push(step);
    }
    this.#seen = Math.max(this.#seen, news.seen);
    return fresh;
  }

  /** The next outcome in the journal's order and who asked for it, once that is asked for. */
  nextDelivery(): { readonly step: JournalStep; readonly asked: AskedStep } | undefined {
    const step = this.#outcomes[0];
    const asked = step && this.#asked.get(step.key);
    if (!step || !asked) return undefined;
    this.#outcomes.shift();
    asked.delivered = true;
    return { step, asked };
  }
}

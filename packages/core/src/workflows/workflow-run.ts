import { OrchestratorError } from '../protocol/errors.js';
import type { JsonValue } from '../protocol/json.js';
import type { Stage } from '../protocol/loop-turns.js';
import type { Progress } from '../protocol/task.js';
import type { JournalChanges, JournalStep } from '../storage/call-journal.js';
import type { Claim, Settlement } from '../storage/task-queue.js';
import { type Ask, type AskedStep, awaitedLater, nameOf, newAskedStep, StepNames } from './asked-step.js';
import { mismatchMessage, MismatchWatch, warnOfForeignAwait } from './mismatch-watch.js';
import { Replay } from './replay.js';
import { called, completionOf, readUntilOver } from './run-function.js';
import { retryDelayMs } from './retry-delay.js';
import type { RunOwner, RunPorts } from './run-ports.js';
import { failureOf, type RunFailure } from './run-failure.js';
import { ServiceCallError, StepError } from './step-error.js';
import { StepWork } from './step-work.js';
import { LazyAbort } from '../runtime/abort.js';

/** How a run came to its end. `abandoned`: the task is no longer this worker's. */
export type RunEnd = Settlement | { readonly kind: 'abandoned' };

type Settled =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly error: unknown };

/**
 * One run of a workflow function over its task's journal, from claim to settlement.
 *
 * Everything happens in turns, one a macrotask: a turn hands the function one outcome and lets it run on, or, when
 * there is none to hand out, starts what was newly asked, ends the run, or lets it rest. New work begins only once the
 * function has asked for all that its journal has.
 *
 * A run onIdle while every step that was asked for waits for somebody else. A branch that awaits something foreign looks
 * just so, and an outcome may come soon: only after `parkAfterMs` is the task parked and the function forgotten. It ends
 * once: by a settlement, or abandoned.
 */
export class WorkflowRun {
  // What deals with steps is made when the first one is asked for: many runs never ask for any.
  #madeNames: StepNames | undefined;
  #madeReplay: Replay | undefined;
  #madeWork: StepWork | undefined;
  readonly #cancelled = new LazyAbort();
  /** Asked for, and not in the journal. */
  #fresh: AskedStep[] = [];
  #settled: Settled | undefined;
  #turnPlanned = false;
  #parking = false;
  /** A large outcome, which is handed out once it is read. */
  #reading = false;
  #cancelParkTimer: (() => void) | undefined;
  #parkNowRequested = false;
  #over = false;
  #forgotten = false;
  #madeMismatchWatch: MismatchWatch | undefined;
  #end: ((end: RunEnd) => void) | undefined;
  #lastOutcomeAt: number;
  /** What the claim did not bring: read by `load`. */
  #loaded: Pick<Claim, 'steps' | 'journalRev'> | undefined;
  #notifiedEarly = false;

  constructor(
    readonly claim: Claim,
    private readonly ports: RunPorts,
    private readonly owner: RunOwner,
  ) {
    this.#lastOutcomeAt = claim.startedAt;
  }

  get #journal(): Pick<Claim, 'steps' | 'journalRev'> {
    return this.#loaded ?? this.claim;
  }

  get #names(): StepNames {
    return (this.#madeNames ??= new StepNames());
  }

  get #replay(): Replay {
    return (this.#madeReplay ??= new Replay(this.#journal.steps, {
      ...this.claim,
      journalRev: this.#journal.journalRev,
    }));
  }

  get #work(): StepWork {
    return (this.#madeWork ??= new StepWork(this.claim, this.ports, {
      journalRev: () => this.#replay.journalRev,
      begun: (step) => this.#replay.begun(step),
      merge: (news) => this.#merge(news),
      leaseLost: () => this.abandon(),
      fail: (error) => this.#fail(error),
      quiet: () => this.#planTurn(),
    }));
  }

  /** Whether there is no step, neither in the journal nor asked for. */
  get #hasNoSteps(): boolean {
    return this.#madeReplay === undefined && this.#journal.steps.length === 0;
  }

  /** Fires when the task is cancelled, or no longer this worker's. */
  get signal(): AbortSignal {
    return this.#cancelled.signal;
  }

  /** Whether `signal` has fired, without making one. */
  get cancelled(): boolean {
    return this.#cancelled.aborted;
  }

  get replaying(): boolean {
    return !this.#hasNoSteps && this.#replay.replaying;
  }

  /** The workflow's time: when the last outcome that it got was recorded. */
  get now(): number {
    return this.#lastOutcomeAt;
  }

  /** Reads a large payload, and the journal if it did not come with the claim. Returns whether the task is still this worker's. */
  async load(): Promise<boolean> {
    const { task } = this.claim;
    await this.#read(task, 'payload', 'claimed');
    if (!this.claim.unread) return !this.#over;
    this.#loaded = await this.#work.readJournal();
    if (this.#loaded && this.#notifiedEarly) this.#work.fetchChanges();
    return this.#loaded !== undefined && !this.#over;
  }

  #read<T extends object>(holder: T, field: keyof T & string, stage: Stage): Promise<void> | undefined {
    const turns = () => ({ share: this.claim.task.tenant_id, stage, signal: this.signal });
    return readUntilOver(holder, field, { turns, isOver: () => this.#over });
  }

  run(fn: () => unknown): Promise<RunEnd> {
    return new Promise((resolve) => {
      this.#end = resolve;
      called(fn).then(
        (value) => this.#settle({ ok: true, value }),
        (error: unknown) => this.#settle({ ok: false, error }),
      );
    });
  }

  /** The function asks for a step. What it asks once the run is over, nobody answers. */
  ask(ask: Ask): Promise<JsonValue> {
    if (this.#over) return this.#tooLate(nameOf(ask));
    if (this.#cancelled.reason) return awaitedLater(Promise.reject(this.#cancelled.reason));
    const asked = newAskedStep(this.#names.keyOf(ask), ask);
    if (this.#replay.asked(asked.key)) {
      const error = new OrchestratorError('workflow_error', `two steps have the id "${ask.id}"`);
      return awaitedLater(Promise.reject(error));
    }
    const record = this.#replay.ask(asked);
    if (!record) this.#fresh.push(asked);
    else if (record.kind !== asked.kind || record.name !== asked.name) this.#mismatch(record, asked.name);
    else if (!record.outcome) this.#work.resume(asked, record);
    this.#planTurn();
    return asked.promise;
  }

  report(progress: Progress): Promise<void> {
    return this.#over ? Promise.resolve() : this.#work.report(progress);
  }

  /** The worker is about to stop: whatever waits is parked at once. */
  parkNow(): void {
    this.#parkNowRequested = true;
    if (this.#cancelParkTimer) this.#planTurn();
  }

  /** Something happened to the task elsewhere. */
  onWakeup(): void {
    if (this.claim.unread && !this.#loaded) this.#notifiedEarly = true;
    else if (!this.#over) this.#work.fetchChanges();
  }

  /** The task is no longer this worker's: the function is forgotten, what it does has no effect any more. */
  abandon(): void {
    this.#finish({ kind: 'abandoned' });
  }

  #settle(settled: Settled): void {
    this.#settled = settled;
    // Most runs end here: nothing is left to hand out or to ask for, so no turn is needed to find that out.
    const nothingLeft = this.#hasNoSteps || !this.#replay.unasked;
    if (nothingLeft && !this.#parking && !this.#cancelled.aborted) this.#finish(this.#settlement(settled));
    else this.#planTurn();
  }

  #planTurn(): void {
    if (this.#turnPlanned || this.#over) return;
    this.#turnPlanned = true;
    this.#rise();
    setImmediate(() => {
      this.#turnPlanned = false;
      if (!this.#over) this.#turn();
    });
  }

  #turn(): void {
    if (this.#cancelled.aborted) {
      if (this.#settled) this.#finish(this.#settlement(this.#settled));
      return;
    }
    // Whether the task is still ours is being decided: what begins now could be lost.
    if (this.#parking || this.#reading) return;
    if (this.#deliverNext()) return;
    const unasked = this.#replay.unasked;
    // A function that has thrown asks for nothing more: what it has thrown says why.
    if (unasked && this.#settled?.ok !== false) {
      this.#watchForMismatch();
      return;
    }
    this.#madeMismatchWatch?.stop();
    if (this.#settled) this.#finish(this.#settlement(this.#settled));
    else if (this.#fresh.length > 0) this.#startFresh();
    else if (!this.#work.busy && this.#replay.hasOpen) this.#rest();
  }

  #rest(): void {
    if (this.#parkNowRequested || this.ports.limits.parkAfterMs === 0 || !this.owner.mayIdle()) {
      void this.#park();
      return;
    }
    this.#cancelParkTimer = this.ports.clock.after(this.ports.limits.parkAfterMs, () => {
      this.#rise();
      void this.#park();
    });
    this.owner.onIdle(true);
  }

  #rise(): void {
    if (!this.#cancelParkTimer) return;
    this.#cancelParkTimer();
    this.#cancelParkTimer = undefined;
    this.owner.onIdle(false);
  }

  /** The function goes on although its task was parked: nobody answers it, but somebody should know. */
  #tooLate(asked: string): Promise<never> {
    if (this.#forgotten) {
      this.#forgotten = false;
      const { task_id: taskId, type } = this.claim.task;
      const { parkAfterMs } = this.ports.limits;
      this.ports.logger.warn(
        `workflow: it awaited something foreign for more than ${parkAfterMs} ms while other steps were open, so its task was parked; do such work in ctx.run`,
        { type, taskId, asked },
      );
    }
    return new Promise(() => {});
  }

  #deliverNext(): boolean {
    const delivery = this.#replay.nextDelivery();
    if (!delivery) return false;
    const { step, asked } = delivery;
    const reading = step.outcome?.ok ? this.#read(step.outcome, 'value', 'runs') : undefined;
    if (!reading) this.#deliver(step, asked);
    else {
      this.#reading = true;
      void this.#deliverOnceRead(reading, step, asked);
    }
    return true;
  }

  async #deliverOnceRead(reading: Promise<void>, step: JournalStep, asked: AskedStep): Promise<void> {
    try {
      await reading;
      if (!this.#over) this.#deliver(step, asked);
    } catch (error) {
      this.#fail(error);
    }
  }

  #deliver(step: JournalStep, asked: AskedStep): void {
    this.#reading = false;
    // What an earlier attempt has left may be older than what this one has got already.
    this.#lastOutcomeAt = Math.max(this.#lastOutcomeAt, step.endedAt ?? 0);
    if (step.outcome?.ok) asked.resolve(step.outcome.value);
    else if (step.outcome) {
      const { error } = step.outcome;
      asked.reject(
        step.kind === 'call' ? new ServiceCallError(step.key, error) : new StepError(step.key, error),
      );
    }
    this.#planTurn();
  }

  #startFresh(): void {
    const fresh = this.#fresh;
    this.#fresh = [];
    for (const asked of fresh) this.#work.start(asked);
  }

  #merge(news: JournalChanges): void {
    if (this.#over) return;
    for (const step of this.#replay.merge(news)) {
      const asked = this.#replay.asked(step.key);
      if (asked && !step.outcome) this.#work.resume(asked, step);
    }
    if (news.more) this.#work.fetchChanges();
    if (news.cancelReason !== undefined) this.#cancel(news.cancelReason);
    this.#planTurn();
  }

  #cancel(reason: string): void {
    if (this.#cancelled.aborted) return;
    const error = new OrchestratorError('cancelled', reason);
    this.#cancelled.abort(error);
    this.#madeWork?.stop();
    for (const asked of this.#replay.open()) asked.reject(error);
    this.#fresh = [];
  }

  /** Every open branch waits: the task is put aside, unless something came in the meantime. */
  async #park(): Promise<void> {
    this.#parking = true;
    const settlement = { kind: 'parked', journalRev: this.#replay.journalRev } as const;
    try {
      const answer = await this.#work.settle(settlement);
      this.#parking = false;
      if (answer === 'settled') {
        // Something foreign came to its end just then: what the function did with it is found out by running it again.
        if (this.#fresh.length > 0 || this.#settled) await this.#work.wake();
        this.#forgotten = true;
        this.#finish(settlement);
      } else if (answer === 'lease_lost') this.abandon();
      else this.#work.fetchChanges();
    } catch (error) {
      // Either the run was ended meanwhile, or the storage can't take this task as it is.
      this.#parking = false;
      this.#fail(error);
    }
  }

  /**
   * The journal has a step that the function has not asked for. If it has asked for something new instead, or returned, it is
   * another function than before; if not, it awaits something foreign, which may take as long as it likes.
   */
  #watchForMismatch(): void {
    this.#madeMismatchWatch ??= new MismatchWatch(this.ports, (differs) => this.#leavesOut(differs));
    this.#madeMismatchWatch.watch(this.#fresh.length > 0 || this.#settled !== undefined);
  }

  #leavesOut(differs: boolean): void {
    const { unasked } = this.#replay;
    if (this.#over || !unasked) return;
    if (differs) this.#mismatch(unasked, this.#fresh[0]?.name ?? 'nothing more');
    else warnOfForeignAwait(this.ports.logger, this.claim.task, unasked);
  }

  #mismatch(record: JournalStep, asked: string): void {
    const message = mismatchMessage(record, asked, this.ports.limits.mismatchMs);
    this.#finish({ kind: 'failed', error: { code: 'workflow_error', message, retryable: false } });
  }

  #settlement(settled: Settled): Settlement {
    if (settled.ok) return this.#completion(settled.value);
    if (this.#cancelled.aborted) return { kind: 'cancelled' };
    return this.#failure(settled.error);
  }

  #completion(value: unknown): Settlement {
    try {
      return completionOf(value, this.claim.task);
    } catch (error) {
      return this.#failure(error);
    }
  }

  #failure(thrown: unknown): Settlement {
    const { error, diagnostic, step } = this.#failureOf(thrown);
    if (!error.retryable) return { kind: 'failed', error, diagnostic };
    const delayMs = retryDelayMs(this.ports.random, this.claim.task.attempt);
    return { kind: 'retry', error, diagnostic, delayMs, ...(step !== undefined && { drop: step }) };
  }

  #failureOf(thrown: unknown): RunFailure {
    return failureOf(thrown, this.claim.task.type, this.ports.exposeErrors);
  }

  /** Something that is no failure of the function itself: another attempt would not help. */
  #fail(thrown: unknown): void {
    if (this.#over) return;
    const { error, diagnostic } = this.#failureOf(thrown);
    this.#finish({ kind: 'failed', error: { ...error, retryable: false }, diagnostic });
  }

  #finish(end: RunEnd): void {
    if (this.#over) return;
    this.#rise();
    this.#over = true;
    this.#madeMismatchWatch?.stop();
    this.#madeWork?.stop();
    if (end.kind === 'abandoned') {
      this.#cancelled.abort(new OrchestratorError('lease_lost', "the task is no longer this worker's"));
    }
    this.#end?.(end);
  }
}

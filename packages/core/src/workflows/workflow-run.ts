import { OrchestratorError } from '../protocol/errors.js';
import type { Stage } from '../protocol/loop-turns.js';
import type { Progress } from '../protocol/task.js';
import type { JournalChanges, JournalStep } from '../storage/call-journal.js';
import type { Claim, Settlement } from '../storage/task-queue.js';
import {
  awaitedLater,
  type Command,
  nameOf,
  newRequestedStep,
  type RequestedStep,
  StepNames,
} from './requested-step.js';
import { deliver } from './delivery.js';
import { mismatchMessage, MismatchWatch, warnOfForeignAwait, warnOfLateStep } from './mismatch-watch.js';
import { type Delivery, Replay } from './replay.js';
import { called, completionOf, readUntilOver, type Settled } from './run-function.js';
import { observedRun, type RunEnd } from './observed-run.js';
import { retryDelayMs } from './retry-delay.js';
import type { RunOwner, RunPorts } from './run-ports.js';
import { FunctionInFlight } from './function-in-flight.js';
import type { LeaseTerm } from './lease-term.js';
import { failureOf, type RunFailure } from './run-failure.js';
import { StepWork } from './step-work.js';
import { LazyAbort } from '../runtime/abort.js';

export type { RunEnd } from './observed-run.js';

/**
 * One run of a workflow function over its task's journal, from claim to settlement.
 *
 * Works in turns, one per macrotask: a turn delivers one outcome to the function, or, with none to deliver, starts newly requested
 * steps, ends the run, or makes it idle. New steps start only once the function has requested all steps of its journal.
 *
 * A run is idle while all requested steps wait for external events. A branch that awaits another promise looks the same, and an
 * outcome may arrive soon: so the task is parked, and the function dropped, only after `parkAfterMs`. A run ends once: by a
 * settlement, or abandoned.
 */
export class WorkflowRun {
  // Created on first use: many runs have no steps.
  #madeNames: StepNames | undefined;
  #madeReplay: Replay | undefined;
  #madeWork: StepWork | undefined;
  readonly #cancelled = new LazyAbort();
  /** Requested steps that are not in the journal. */
  #fresh: RequestedStep[] = [];
  #settled: Settled | undefined;
  #turnPlanned = false;
  #parking = false;
  /** A large outcome is being parsed, and delivered afterwards. */
  #reading = false;
  #cancelParkTimer: (() => void) | undefined;
  #parkNowRequested = false;
  #over = false;
  #warnsOfLateStep = false;
  #madeMismatchWatch: MismatchWatch | undefined;
  #end: ((end: RunEnd) => void) | undefined;
  #lastOutcomeAt: number;
  readonly #inFlight: FunctionInFlight;
  /** The journal, read by `load`, if it did not come with the claim. */
  #loaded: Pick<Claim, 'steps' | 'journalRev'> | undefined;
  #notifiedEarly = false;

  constructor(
    readonly claim: Claim,
    private readonly ports: RunPorts,
    private readonly owner: RunOwner,
    readonly leaseTerm: LeaseTerm,
  ) {
    this.#lastOutcomeAt = claim.startedAt;
    this.#inFlight = new FunctionInFlight(ports.clock);
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
    return (this.#madeWork ??= new StepWork(this.claim, this.ports, this.leaseTerm, {
      replay: () => this.#replay,
      merge: (changes) => this.#merge(changes),
      leaseLost: () => this.abandon(),
      fail: (error) => this.#fail(error),
      onWorkEnd: () => this.#planTurn(),
    }));
  }

  /** No step is recorded or requested. */
  get hasNoSteps(): boolean {
    return this.#madeReplay === undefined && this.#journal.steps.length === 0;
  }

  /** Fires when the task is cancelled, or its lease is lost. */
  get signal(): AbortSignal {
    return this.#cancelled.signal;
  }

  /** Whether `signal` has fired, without creating it. */
  get cancelled(): boolean {
    return this.#cancelled.aborted;
  }

  get replaying(): boolean {
    return !this.hasNoSteps && this.#replay.replaying;
  }

  /** The workflow's time: when the last delivered outcome was recorded, epoch ms. */
  get now(): number {
    return this.#lastOutcomeAt;
  }

  /** Parses a large payload, and reads the journal if it did not come with the claim. Returns whether the lease still holds. */
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
      this.#end = observedRun(this.ports, this.claim, resolve);
      called(fn).then(
        (value) => this.#settle({ ok: true, value }),
        (error: unknown) => this.#settle({ ok: false, error }),
      );
    });
  }

  /** Requests a step. After the end of the run, the returned promise never settles. */
  request(command: Command): Promise<unknown> {
    if (this.#over) return this.#neverSettles(nameOf(command));
    if (this.#cancelled.reason) return awaitedLater(Promise.reject(this.#cancelled.reason));
    const step = newRequestedStep(this.#names.keyOf(command), command);
    if (this.#replay.requested(step.key)) {
      const message = `step id "${command.id}": expected a unique id, got one that another step has`;
      return awaitedLater(Promise.reject(new OrchestratorError('workflow_error', message)));
    }
    this.#add(step);
    return step.promise;
  }

  #add(step: RequestedStep): void {
    const record = this.#replay.request(step);
    if (!record) this.#fresh.push(step);
    else if (record.kind !== step.kind || record.name !== step.name) this.#mismatch(record, step.name);
    else if (!record.outcome) this.#work.resume(step, record);
    this.#planTurn();
  }

  report(progress: Progress): Promise<void> {
    return this.#over ? Promise.resolve() : this.#work.report(progress);
  }

  /** Parks at once when idle, since the worker stops. */
  parkNow(): void {
    this.#parkNowRequested = true;
    if (this.#cancelParkTimer) this.#planTurn();
  }

  /** The journal changed, or cancellation was requested: fetches the changes. */
  onWakeup(): void {
    if (this.claim.unread && !this.#loaded) this.#notifiedEarly = true;
    else if (!this.#over) this.#work.fetchChanges();
  }

  /** Ends the run without a settlement: further actions of the function have no effect. */
  abandon(): void {
    this.#finish({ kind: 'abandoned' });
  }

  #settle(settled: Settled): void {
    this.#settled = settled;
    // Most runs end here: nothing is left to deliver or to request, so no further turn is needed.
    const nothingLeft = this.hasNoSteps || !this.#replay.unrequested;
    if (nothingLeft && !this.#parking && !this.#cancelled.aborted) this.#finish(this.#settlement(settled));
    else this.#planTurn();
  }

  #planTurn(): void {
    if (this.#turnPlanned || this.#over) return;
    this.#turnPlanned = true;
    this.#leaveIdle();
    setImmediate(() => {
      this.#turnPlanned = false;
      if (!this.#over) this.#turn();
      this.#inFlight.set(() => !this.#over && (this.#cancelled.aborted || !this.#replay.hasOpen));
    });
  }

  #turn(): void {
    if (this.#cancelled.aborted) {
      if (this.#settled) this.#finish(this.#settlement(this.#settled));
      return;
    }
    // Parking is in progress: a step started now could be lost.
    if (this.#parking || this.#reading) return;
    if (this.#deliverNext()) return;
    const unrequested = this.#replay.unrequested;
    // A function that has thrown requests nothing more: its error is the cause, not a mismatch.
    if (unrequested && this.#settled?.ok !== false) {
      this.#watchForMismatch();
      return;
    }
    this.#madeMismatchWatch?.stop();
    if (this.#settled) this.#finish(this.#settlement(this.#settled));
    else if (this.#fresh.length > 0) this.#startFresh();
    else if (!this.#work.busy && this.#replay.hasOpen) this.#enterIdle();
  }

  #enterIdle(): void {
    if (this.#parkNowRequested || this.ports.limits.parkAfterMs === 0 || !this.owner.mayIdle()) {
      void this.#park();
      return;
    }
    this.#cancelParkTimer = this.ports.clock.after(this.ports.limits.parkAfterMs, () => {
      this.#leaveIdle();
      void this.#park();
    });
    this.owner.onIdle(true);
  }

  #leaveIdle(): void {
    if (!this.#cancelParkTimer) return;
    this.#cancelParkTimer();
    this.#cancelParkTimer = undefined;
    this.owner.onIdle(false);
  }

  /** The function continues after its task was parked: its requests stay pending. Logs a warning once. */
  #neverSettles(requested: string): Promise<never> {
    if (this.#warnsOfLateStep) {
      this.#warnsOfLateStep = false;
      warnOfLateStep(this.ports, this.claim.task, requested);
    }
    return new Promise(() => {});
  }

  #deliverNext(): boolean {
    const delivery = this.#replay.nextDelivery();
    if (!delivery) return false;
    const { outcome } = delivery.step;
    const reading = outcome?.ok ? this.#read(outcome, 'value', 'runs') : undefined;
    if (!reading) this.#deliver(delivery);
    else {
      this.#reading = true;
      void this.#deliverOnceRead(reading, delivery);
    }
    return true;
  }

  async #deliverOnceRead(reading: Promise<void>, delivery: Delivery): Promise<void> {
    try {
      await reading;
      if (!this.#over) this.#deliver(delivery);
    } catch (error) {
      this.#fail(error);
    }
  }

  #deliver(delivery: Delivery): void {
    this.#reading = false;
    // Outcomes inherited from an earlier attempt may be older than those already delivered.
    this.#lastOutcomeAt = Math.max(this.#lastOutcomeAt, delivery.step.endedAt ?? 0);
    const repeat = deliver(delivery, (key) => this.#replay.has(key), this.ports.limits);
    if (repeat) this.#add(repeat);
    this.#planTurn();
  }

  #startFresh(): void {
    const fresh = this.#fresh;
    this.#fresh = [];
    for (const requested of fresh) this.#work.start(requested);
  }

  #merge(changes: JournalChanges): void {
    if (this.#over) return;
    for (const step of this.#replay.merge(changes)) {
      const requested = this.#replay.requested(step.key);
      if (requested && !step.outcome) this.#work.resume(requested, step);
    }
    if (changes.more) this.#work.fetchChanges();
    if (changes.cancelReason !== undefined) this.#cancel(changes.cancelReason);
    this.#planTurn();
  }

  #cancel(reason: string): void {
    if (this.#cancelled.aborted) return;
    const error = new OrchestratorError('cancelled', reason);
    this.#cancelled.abort(error);
    this.#madeWork?.stop();
    for (const requested of this.#replay.open()) requested.reject(error);
    this.#fresh = [];
  }

  /** All open branches wait: parks the task, unless its journal changed meanwhile. */
  async #park(): Promise<void> {
    this.#parking = true;
    const settlement = { kind: 'parked', journalRev: this.#replay.journalRev } as const;
    try {
      const answer = await this.#work.settle(settlement);
      this.#parking = false;
      if (answer === 'settled') {
        // The function continued meanwhile, after an await of another promise: run the task again.
        if (this.#fresh.length > 0 || this.#settled) await this.#work.wake();
        this.#warnsOfLateStep = true;
        this.#finish(settlement);
      } else if (answer === 'lease_lost') this.abandon();
      else this.#work.fetchChanges();
    } catch (error) {
      // The run ended meanwhile, or the storage rejects the settlement permanently.
      this.#parking = false;
      this.#fail(error);
    }
  }

  /**
   * The journal has a step that the function has not requested. If it requested a new step instead, or returned, the function
   * has changed; if not, it awaits another promise, which may take any time.
   */
  #watchForMismatch(): void {
    this.#madeMismatchWatch ??= new MismatchWatch(this.ports, (differs) => this.#onMismatchTimeout(differs));
    this.#madeMismatchWatch.watch(this.#fresh.length > 0 || this.#settled !== undefined);
  }

  #onMismatchTimeout(differs: boolean): void {
    const { unrequested } = this.#replay;
    if (this.#over || !unrequested) return;
    if (differs) this.#mismatch(unrequested, this.#fresh[0]?.name ?? 'nothing more');
    else warnOfForeignAwait(this.ports.logger, this.claim.task, unrequested);
  }

  #mismatch(record: JournalStep, requested: string): void {
    const message = mismatchMessage(record, requested, this.ports.limits.mismatchMs);
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
    const { error, diagnostic, step, retryAfterMs } = this.#failureOf(thrown);
    if (!error.retryable) return { kind: 'failed', error, diagnostic };
    const delayMs = Math.max(retryAfterMs, retryDelayMs(this.ports.random, this.claim.task.attempt));
    return { kind: 'retry', error, diagnostic, delayMs, ...(step !== undefined && { drop: step }) };
  }

  #failureOf(thrown: unknown): RunFailure {
    return failureOf(thrown, this.claim.task.type, this.ports.exposeErrors);
  }

  /** A failure outside of the function: not retried. */
  #fail(thrown: unknown): void {
    if (this.#over) return;
    const { error, diagnostic } = this.#failureOf(thrown);
    this.#finish({ kind: 'failed', error: { ...error, retryable: false }, diagnostic });
  }

  #finish(end: RunEnd): void {
    if (this.#over) return;
    this.#leaveIdle();
    this.#over = true;
    this.#inFlight.set(() => false);
    this.#madeMismatchWatch?.stop();
    this.#madeWork?.stop();
    if (end.kind === 'abandoned') {
      this.#cancelled.abort(new OrchestratorError('lease_lost', 'the lease of the task is lost'));
    }
    this.#end?.(end);
  }
}

import { OrchestratorError, toTaskError } from '../protocol/errors.js';
import { toBoundedJson } from '../protocol/bounded-json.js';
import type { JsonValue } from '../protocol/json.js';
import type { Progress } from '../protocol/task.js';
import type { JournalNews, JournalStep } from '../storage/call-journal.js';
import type { Claim, Settlement } from '../storage/task-queue.js';
import { type Ask, type AskedStep, nameOf, newAskedStep, StepNames } from './asked-step.js';
import { Replay } from './replay.js';
import { retryDelayMs } from './retry-delay.js';
import type { RunPorts } from './run-ports.js';
import { failedStep, ServiceCallError, StepError } from './step-error.js';
import { StepWork } from './step-work.js';
import { LazyAbort } from '../shared-abort.js';

/** How a run came to its end. `abandoned`: the task is no longer this worker's. */
export type RunEnd = Settlement | { readonly kind: 'abandoned' };

type Settled =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly error: unknown };

/** What a run tells its worker. */
export interface RunOwner {
  /** Whether one more run may be kept that only waits. */
  mayRest(): boolean;
  /** It only waits now, or no longer does. */
  rests(resting: boolean): void;
}

/**
 * One run of a workflow function over its task's journal, from claim to settlement.
 *
 * Everything happens in turns, one a macrotask: a turn hands the function one outcome and lets it run on, or, when
 * there is none to hand out, starts what was newly asked, ends the run, or lets it rest. New work begins only once the
 * function has asked for all that its journal has.
 *
 * A run rests while every step that was asked for waits for somebody else. A branch that awaits something foreign looks
 * just so, and an outcome may come soon: only after `lingerMs` is the task parked and the function forgotten. It ends
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
  #stopLingering: (() => void) | undefined;
  #hurried = false;
  #over = false;
  #forgotten = false;
  #stopMismatchTimer: (() => void) | undefined;
  #end: ((end: RunEnd) => void) | undefined;
  #lastOutcomeAt: number;

  constructor(
    readonly claim: Claim,
    private readonly ports: RunPorts,
    private readonly owner: RunOwner,
  ) {
    this.#lastOutcomeAt = claim.startedAt;
  }

  get #names(): StepNames {
    return (this.#madeNames ??= new StepNames());
  }

  get #replay(): Replay {
    const { steps, seen, shown } = this.claim;
    return (this.#madeReplay ??= new Replay(steps, seen, shown));
  }

  get #work(): StepWork {
    return (this.#madeWork ??= new StepWork(this.claim, this.ports, {
      seen: () => this.#replay.seen,
      begun: (step) => this.#replay.begun(step),
      merge: (news) => this.#merge(news),
      leaseLost: () => this.abandon(),
      fail: (error) => this.#finish({ kind: 'failed', error: toTaskError(error, 'workflow_error') }),
      quiet: () => this.#planTurn(),
    }));
  }

  /** Whether there is no step, neither in the journal nor asked for. */
  get #hasNoSteps(): boolean {
    return this.#madeReplay === undefined && this.claim.steps.length === 0;
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
    if (this.#cancelled.reason) return Promise.reject(this.#cancelled.reason);
    const asked = newAskedStep(this.#names.keyOf(ask), ask);
    if (this.#replay.asked(asked.key)) {
      return Promise.reject(new OrchestratorError('workflow_error', `two steps have the id "${ask.id}"`));
    }
    const record = this.#replay.ask(asked);
    if (!record) this.#fresh.push(asked);
    else if (record.kind !== asked.kind || record.name !== asked.name) this.#mismatch(record, asked.name);
    else if (!record.outcome) this.#work.resume(asked, record);
    this.#planTurn();
    return asked.promise;
  }

  tell(progress: Progress): Promise<void> {
    return this.#over ? Promise.resolve() : this.#work.tell(progress);
  }

  /** The worker is about to stop: whatever waits is parked at once. */
  hurry(): void {
    this.#hurried = true;
    if (this.#stopLingering) this.#planTurn();
  }

  /** Something happened to the task elsewhere. */
  bell(): void {
    if (!this.#over) this.#work.fetchNews();
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
    if (this.#parking) return;
    if (this.#deliverNext()) return;
    const unasked = this.#replay.unasked;
    if (unasked) {
      this.#watchForMismatch(unasked);
      return;
    }
    this.#stopMismatchTimer?.();
    this.#stopMismatchTimer = undefined;
    if (this.#settled) this.#finish(this.#settlement(this.#settled));
    else if (this.#fresh.length > 0) this.#startFresh();
    else if (!this.#work.busy && this.#replay.hasOpen) this.#rest();
  }

  #rest(): void {
    if (this.#hurried || this.ports.limits.lingerMs === 0 || !this.owner.mayRest()) {
      void this.#park();
      return;
    }
    this.#stopLingering = this.ports.clock.after(this.ports.limits.lingerMs, () => {
      this.#rise();
      void this.#park();
    });
    this.owner.rests(true);
  }

  #rise(): void {
    if (!this.#stopLingering) return;
    this.#stopLingering();
    this.#stopLingering = undefined;
    this.owner.rests(false);
  }

  /** The function goes on although its task was parked: nobody answers it, but somebody should know. */
  #tooLate(asked: string): Promise<never> {
    if (this.#forgotten) {
      this.#forgotten = false;
      const { task_id: taskId, type } = this.claim.task;
      const { lingerMs } = this.ports.limits;
      this.ports.logger.warn(
        `workflow: it awaited something foreign for more than ${lingerMs} ms while other steps were open, so its task was parked; do such work in ctx.run`,
        { type, taskId, asked },
      );
    }
    return new Promise(() => {});
  }

  #deliverNext(): boolean {
    const delivery = this.#replay.nextDelivery();
    if (!delivery) return false;
    const { step, asked } = delivery;
    this.#lastOutcomeAt = step.endedAt ?? this.#lastOutcomeAt;
    if (step.outcome?.ok) asked.resolve(step.outcome.value);
    else if (step.outcome) {
      const { error } = step.outcome;
      asked.reject(
        step.kind === 'call' ? new ServiceCallError(step.key, error) : new StepError(step.key, error),
      );
    }
    this.#planTurn();
    return true;
  }

  #startFresh(): void {
    const fresh = this.#fresh;
    this.#fresh = [];
    for (const asked of fresh) this.#work.start(asked);
  }

  #merge(news: JournalNews): void {
    if (this.#over) return;
    for (const step of this.#replay.merge(news)) {
      const asked = this.#replay.asked(step.key);
      if (asked && !step.outcome) this.#work.resume(asked, step);
    }
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
    const settlement = { kind: 'parked', seen: this.#replay.seen } as const;
    const answer = await this.#work.settle(settlement);
    this.#parking = false;
    if (answer === 'settled') {
      // Something foreign came to its end just then: what the function did with it is found out by running it again.
      if (this.#fresh.length > 0 || this.#settled) await this.#work.wake();
      this.#forgotten = true;
      this.#finish(settlement);
    } else if (answer === 'lease_lost') this.abandon();
    else this.#work.fetchNews();
  }

  #watchForMismatch(unasked: JournalStep): void {
    this.#stopMismatchTimer ??= this.ports.clock.after(this.ports.limits.mismatchMs, () => {
      const [fresh] = this.#fresh;
      this.#mismatch(unasked, fresh ? fresh.name : this.#settled ? 'nothing more' : 'nothing of it');
    });
  }

  #mismatch(record: JournalStep, asked: string): void {
    const message = `the journal has "${record.name}" (step ${record.key}), the workflow asks for ${asked === record.name ? 'another' : `"${asked}"`}: was it changed without a new version?`;
    this.#finish({ kind: 'failed', error: { code: 'workflow_error', message, retryable: false } });
  }

  #settlement(settled: Settled): Settlement {
    if (settled.ok) return completion(this.claim, settled.value);
    if (this.#cancelled.aborted) return { kind: 'cancelled' };
    const error = toTaskError(settled.error, 'workflow_error');
    if (!error.retryable) return { kind: 'failed', error };
    const drop = failedStep(settled.error);
    const delayMs = retryDelayMs(this.ports.random, this.claim.task.attempt);
    return { kind: 'retry', error, delayMs, ...(drop !== undefined && { drop }) };
  }

  #finish(end: RunEnd): void {
    if (this.#over) return;
    this.#rise();
    this.#over = true;
    this.#stopMismatchTimer?.();
    this.#madeWork?.stop();
    if (end.kind === 'abandoned') {
      this.#cancelled.abort(new OrchestratorError('lease_lost', "the task is no longer this worker's"));
    }
    this.#end?.(end);
  }
}

/** A throw before the first `await` counts like a rejection. */
function called(fn: () => unknown): Promise<unknown> {
  try {
    return Promise.resolve(fn());
  } catch (error) {
    return Promise.reject(error);
  }
}

function completion(claim: Claim, value: unknown): Settlement {
  let result: JsonValue;
  try {
    result = toBoundedJson(value);
  } catch (error) {
    return { kind: 'failed', error: toTaskError(error, 'workflow_error') };
  }
  const content = answerOf(result);
  if (claim.task.session_id === undefined || content === undefined) return { kind: 'completed', result };
  return { kind: 'completed', result, answer: { message_id: `${claim.task.task_id}-answer`, content } };
}

/** What of a result is said in the session: its `content`, or its `answer`. */
function answerOf(result: JsonValue): string | undefined {
  if (typeof result !== 'object' || result === null || Array.isArray(result)) return undefined;
  const said = result['content'] ?? result['answer'];
  return typeof said === 'string' ? said : undefined;
}

import { inRealTime } from '../runtime/clock.js';
import { untilAvailable } from '../runtime/until-available.js';
import { OrchestratorError } from '../protocol/errors.js';
import { toTaskError } from '../protocol/thrown.js';
import { addCopy, RESULT } from '../protocol/bounded-json.js';
import type { JsonValue } from '../protocol/json.js';
import { copyField } from '../protocol/known-text.js';
import { readField } from '../protocol/portioned-json.js';
import type { ServiceCall } from '../protocol/service-call.js';
import type { Progress } from '../protocol/task.js';
import type {
  ChangesSinceResult,
  JournalChanges,
  JournalStep,
  RecordAnswerParams,
  StepAnswer,
  StepOutcome,
  StepRequest,
} from '../storage/call-journal.js';
import type { Claim, Settlement, SettleResult } from '../storage/task-queue.js';
import { startStepSpan } from '../tracing/task-spans.js';
import { readResult } from './delivery.js';
import type { LeaseTerm } from './lease-term.js';
import type { Replay } from './replay.js';
import { type Command, nameOf, type RequestedStep } from './requested-step.js';
import { retryDelayMs } from './retry-delay.js';
import type { RunPorts } from './run-ports.js';
import { LazyAbort } from '../runtime/abort.js';

/** Callbacks of `StepWork` to its run. */
export interface StepWorkListener {
  /** Created on first use: not before the journal is read. */
  replay(): Replay;
  merge(changes: JournalChanges): void;
  leaseLost(): void;
  fail(error: unknown): void;
  onWorkEnd(): void;
}

/** A slower answer may have been delayed by a frozen process: then the lease may have expired. */
const STALE_MS = 1_000;
const STOPPED = new OrchestratorError('not_running', 'the run is over');

type UnderLease<T> = (T & JournalChanges) | { readonly answer: 'lease_lost' };

/**
 * Executes the steps of one run: stores them, calls services, runs host code, records outcomes. A step is stored before it acts,
 * so that services, timers and signals find it; own work (`run`), which nothing else refers to, is stored with its outcome.
 */
export class StepWork {
  readonly #abort = new LazyAbort();
  #stopped = false;
  #busy = 0;
  #fetching = false;
  #fetchAgain = false;

  constructor(
    private readonly claim: Claim,
    private readonly ports: RunPorts,
    private readonly leaseTerm: LeaseTerm,
    private readonly listener: StepWorkListener,
  ) {}

  /** Whether work is in progress; then the task must not be parked. */
  get busy(): boolean {
    return this.#busy > 0;
  }

  stop(): void {
    this.#stopped = true;
    if (this.#busy > 0) this.#abort.abort(STOPPED);
  }

  /** Executes a new step. */
  start(requested: RequestedStep): void {
    const { command } = requested;
    const steps = this.listener.replay().add(requested.key);
    if (command.kind === 'run') this.#run(requested, command.work, steps);
    else this.#begin(requested);
  }

  /** Stores a step, then executes it. */
  #begin(requested: RequestedStep): void {
    void this.#do(async () => {
      const { token } = this.claim;
      const { maxSteps } = this.ports.limits;
      const step = requestOf(requested, this.ports);
      const begin = () =>
        this.ports.storage.journal.begin({
          ...this.#where(),
          token,
          journalRev: this.listener.replay().journalRev,
          step,
          maxSteps,
        });
      const begun = await this.#persist(() => this.#fresh(begin));
      if (begun.answer === 'too_many_steps') throw this.#tooManySteps();
      if (begun.answer === 'lease_lost') {
        this.listener.leaseLost();
        return;
      }
      this.listener.replay().begun(begun.step);
      this.listener.merge(begun);
      if (begun.answer === 'begun') await this.#act(requested, begun.step);
      // Stored before, by a write whose answer was lost: resume it.
      else if (!begun.step.outcome) this.resume(requested, begun.step);
    });
  }

  /**
   * Runs own work, and stores its step with the outcome. Like a step that is stored before, it starts only within the limit of
   * steps, and under the lease.
   * @param steps number of steps with this one.
   */
  #run({ key, name }: RequestedStep, work: () => unknown, steps: number): void {
    void this.#do(async () => {
      const { maxSteps } = this.ports.limits;
      if (steps > maxSteps) throw this.#tooManySteps();
      if (this.leaseTerm.hasEnded(this.ports.clock.now()))
        this.#apply(await this.#persist(() => this.#fresh(() => this.#changes())));
      if (this.#stopped) return;
      const span = startStepSpan(this.claim, { kind: 'run', name });
      const ran = () => inRealTime(this.ports.clock, work);
      const outcome = await doWork(span ? () => span.run(ran) : ran);
      span?.end(outcome.ok ? undefined : outcome.error);
      if (this.#stopped) return;
      await this.#record({ key, answer: { kind: 'outcome', outcome }, create: { name, maxSteps } });
    });
  }

  #tooManySteps(): OrchestratorError {
    const { maxSteps } = this.ports.limits;
    const message = `task ${this.claim.task.task_id}: expected at most ${maxSteps} steps, got one more`;
    return new OrchestratorError('workflow_error', message);
  }

  /** Resumes a recorded step without an outcome. */
  resume(requested: RequestedStep, step: JournalStep): void {
    if (step.kind === 'run') this.start(requested);
    if (step.kind !== 'call' || step.backingOff) return;
    if (!step.call) this.start(requested);
    else if (step.call.job_id === undefined) void this.#do(() => this.#act(requested, step));
  }

  /** Reads the whole journal, page by page; `undefined` if the lease is lost. */
  async readJournal(): Promise<
    { readonly steps: readonly JournalStep[]; readonly journalRev: number } | undefined
  > {
    const { token } = this.claim;
    const steps = new Map<string, JournalStep>();
    for (let after = 0; ;) {
      const from = after;
      const page = await this.#persist(() =>
        this.ports.storage.journal.read({ ...this.#where(), token, after: from }),
      );
      if (page.answer !== 'page') return undefined;
      for (const step of page.steps) steps.set(step.key, step);
      if (page.next === undefined)
        return { steps: [...steps.values()].toSorted((a, b) => a.rev - b.rev), journalRev: page.journalRev };
      after = page.next;
    }
  }

  /** Fetches journal changes; concurrent calls are coalesced. */
  fetchChanges(): void {
    if (this.#fetching) {
      this.#fetchAgain = true;
      return;
    }
    this.#fetching = true;
    void this.#do(async () => {
      do {
        this.#fetchAgain = false;
        this.#apply(await this.#persist(() => this.#changes()));
      } while (this.#fetchAgain);
      this.#fetching = false;
    });
  }

  #changes(): Promise<ChangesSinceResult> {
    const { token } = this.claim;
    const { journalRev } = this.listener.replay();
    return this.ports.storage.journal.changesSince({ ...this.#where(), token, journalRev });
  }

  /** Emits progress. Not a step, but the task is not parked until it is stored. */
  async report(progress: Progress): Promise<void> {
    const { token } = this.claim;
    const store = () => this.ports.storage.tasks.progress({ ...this.#where(), token, progress });
    try {
      await this.#busyWith(async () => {
        await this.#persist(store);
      });
    } catch (error) {
      // The run has ended: its progress is obsolete.
      if (!this.#stopped) throw error;
    }
  }

  settle(settlement: Settlement): Promise<SettleResult> {
    const { token } = this.claim;
    return this.#persist(() => this.ports.storage.queue.settle({ ...this.#where(), token, settlement }));
  }

  /** Makes the parked task claimable again: its run continued while it was being parked. */
  async wake(): Promise<void> {
    await this.#persist(() => this.ports.storage.queue.wake(this.#where()));
  }

  async #act(requested: RequestedStep, step: JournalStep): Promise<void> {
    const { command } = requested;
    if (command.kind === 'call' && step.call) {
      const { call_id } = step.call;
      const answer = await this.#read(command, await this.#callService(command, call_id, step.tries));
      if (!this.#stopped) await this.#record({ key: step.key, answer, callId: call_id });
    }
  }

  async #callService(
    command: Command & { kind: 'call' },
    callId: string,
    tries: number,
  ): Promise<StepAnswer> {
    const { task } = this.claim;
    const call: ServiceCall = {
      call_id: callId,
      task_id: task.task_id,
      tenant_id: task.tenant_id,
      session_id: task.session_id,
      operation: command.operation,
      input: null,
      attempt: tries,
      metadata: { user_id: task.metadata.user_id, timeout_ms: command.silenceMs },
    };
    copyField(command, call, 'input');
    const span = startStepSpan(this.claim, { kind: 'call', name: nameOf(command) });
    const answer = await this.ports.caller.call(command.service, call, {
      traceparent: span?.traceparent ?? task.metadata.traceparent,
      signal: this.#abort.signal,
    });
    span?.end(answer.kind === 'outcome' && !answer.outcome.ok ? answer.outcome.error : undefined);
    return answer;
  }

  /** A result that breaks its contract is recorded as a failed call, so that no later attempt inherits it. */
  async #read({ read }: Command & { kind: 'call' }, answer: StepAnswer): Promise<StepAnswer> {
    if (!read || answer.kind !== 'outcome' || !answer.outcome.ok) return answer;
    // Parsed apart: the answer keeps its text for the storage.
    const own: { value: JsonValue } = { value: null };
    copyField(answer.outcome, own, 'value');
    const { tenant_id } = this.claim.task;
    const signal = this.#abort.signal;
    await readField(own, 'value', () => ({ share: tenant_id, stage: 'runs', signal }));
    const result = readResult(read, own.value);
    return result.ok ? answer : { ...answer, outcome: result };
  }

  async #record(what: Pick<RecordAnswerParams, 'key' | 'answer' | 'callId' | 'create'>): Promise<void> {
    const { token } = this.claim;
    const recorded = await this.#persist(() => {
      const { journalRev } = this.listener.replay();
      return this.ports.storage.journal.record({ ...this.#where(), token, journalRev, ...what });
    });
    if (recorded.answer === 'too_many_steps') throw this.#tooManySteps();
    if (recorded.answer === 'step_mismatch') {
      const message = `step ${what.key}: expected "${recorded.name}", which the journal has, got "${what.create?.name}"`;
      throw new OrchestratorError('workflow_error', message);
    }
    this.#apply(recorded);
  }

  #apply(answer: UnderLease<{ readonly answer: string }>): void {
    if (!('journalRev' in answer)) this.listener.leaseLost();
    else this.listener.merge(answer);
  }

  #where() {
    return { tenantId: this.claim.task.tenant_id, taskId: this.claim.task.task_id };
  }

  async #do(work: () => Promise<void>): Promise<void> {
    try {
      await this.#busyWith(work);
    } catch (error) {
      if (!this.#stopped) this.listener.fail(error);
    }
  }

  async #busyWith(work: () => Promise<void>): Promise<void> {
    this.#busy += 1;
    try {
      await work();
    } finally {
      this.#busy -= 1;
      this.listener.onWorkEnd();
    }
  }

  /** Repeats a write once if its answer is stale, before it is acted on. */
  async #fresh<T>(write: () => Promise<T>): Promise<T> {
    const sentAt = this.ports.clock.now();
    const answer = await write();
    return this.ports.clock.now() - sentAt > STALE_MS ? write() : answer;
  }

  /** Retries while the storage is unavailable; ends when the run does, at the latest when its lease is lost. */
  #persist<T>(write: () => Promise<T>): Promise<T> {
    return untilAvailable(write, () => {
      const { clock, random } = this.ports;
      if (this.#stopped) this.#abort.abort(STOPPED);
      return { clock, random, signal: this.#abort.signal };
    });
  }
}

function requestOf({ key, kind, name, command }: RequestedStep, ports: RunPorts): StepRequest {
  switch (command.kind) {
    case 'call': {
      const { silenceMs } = ports.caller.service(command.service);
      const call = {
        callId: ports.random.uuid(),
        service: command.service,
        operation: command.operation,
        maxTries: command.maxTries ?? ports.limits.callTries,
        retryDelayMs: retryDelayMs(ports.random, 1),
        silenceMs: command.silenceMs ?? silenceMs,
      };
      return { key, kind, name, call };
    }
    case 'sleep':
      return { key, kind, name, dueInMs: command.ms };
    case 'signal':
      return {
        key,
        kind,
        name,
        signal: command.name,
        ...(command.timeoutMs !== undefined && { dueInMs: command.timeoutMs }),
      };
    case 'run':
      return { key, kind, name };
    default:
      return command satisfies never;
  }
}

async function doWork(work: () => unknown): Promise<StepOutcome> {
  try {
    const outcome: { ok: true; value: JsonValue } = { ok: true, value: null };
    addCopy(outcome, 'value', await work(), RESULT);
    return outcome;
  } catch (error) {
    return { ok: false, error: toTaskError(error, 'workflow_error') };
  }
}

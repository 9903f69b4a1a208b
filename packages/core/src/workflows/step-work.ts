import { pause } from '../runtime/clock.js';
import { OrchestratorError } from '../protocol/errors.js';
import { toTaskError } from '../protocol/thrown.js';
import { addCopy, RESULT } from '../protocol/bounded-json.js';
import type { JsonValue } from '../protocol/json.js';
import { copyField } from '../protocol/known-text.js';
import type { ServiceCall } from '../protocol/service-call.js';
import type { Progress } from '../protocol/task.js';
import { fullJitter } from '../protocol/full-jitter.js';
import type {
  JournalChanges,
  JournalStep,
  StepAnswer,
  StepOutcome,
  StepRequest,
} from '../storage/call-journal.js';
import type { Claim, Settlement, TaskQueue } from '../storage/task-queue.js';
import type { Ask, AskedStep } from './asked-step.js';
import { retryDelayMs } from './retry-delay.js';
import type { RunPorts } from './run-ports.js';
import { LazyAbort } from '../runtime/abort.js';

/** What the work of steps tells its run. */
export interface StepWorkListener {
  journalRev(): number;
  begun(step: JournalStep): void;
  merge(news: JournalChanges): void;
  leaseLost(): void;
  fail(error: unknown): void;
  /** A piece of work has ended. */
  quiet(): void;
}

/** An answer that took longer may have waited for this process, which was frozen: then the lease may be over. */
const STALE_MS = 1_000;
const STOPPED = new OrchestratorError('not_running', 'the run is over');

type Held<T> = (T & JournalChanges) | { readonly answer: 'lease_lost' };

/** Carries out the steps of one run: stores them, calls services, does the host's own work, records what came of it. */
export class StepWork {
  readonly #abort = new LazyAbort();
  #stopped = false;
  #busy = 0;
  #fetching = false;
  #fetchAgain = false;

  constructor(
    private readonly claim: Claim,
    private readonly ports: RunPorts,
    private readonly listener: StepWorkListener,
  ) {}

  /** Whether something is being done here, so that the task can't be parked. */
  get busy(): boolean {
    return this.#busy > 0;
  }

  stop(): void {
    this.#stopped = true;
    if (this.#busy > 0) this.#abort.abort(STOPPED);
  }

  /** A step that is new: stored, then acted on. */
  start(asked: AskedStep): void {
    void this.#do(async () => {
      const { task, token } = this.claim;
      const { maxSteps } = this.ports.limits;
      const step = requestOf(asked, this.ports);
      const begin = () =>
        this.ports.storage.journal.begin({
          ...this.#where(),
          token,
          journalRev: this.listener.journalRev(),
          step,
          maxSteps,
        });
      const begun = await this.#persist(() => this.#fresh(begin));
      if (begun.answer === 'too_many_steps') {
        throw new OrchestratorError(
          'workflow_error',
          `task ${task.task_id} asked for more than ${maxSteps} steps`,
        );
      }
      if (begun.answer === 'lease_lost') {
        this.listener.leaseLost();
        return;
      }
      this.listener.begun(begun.step);
      this.listener.merge(begun);
      if (begun.answer === 'begun') await this.#act(asked, begun.step);
      // Stored before, by a write whose answer was lost: it goes on from there.
      else if (!begun.step.outcome) this.resume(asked, begun.step);
    });
  }

  /** A step that the journal has, without an outcome: goes on where it was left. */
  resume(asked: AskedStep, step: JournalStep): void {
    if (step.kind === 'run') void this.#do(() => this.#act(asked, step));
    if (step.kind !== 'call' || step.backingOff) return;
    if (!step.call) this.start(asked);
    else if (step.call.job_id === undefined) void this.#do(() => this.#act(asked, step));
  }

  /** The whole journal, page by page; nothing when the lease is lost. */
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
      if (page.answer === 'lease_lost') return undefined;
      for (const step of page.steps) steps.set(step.key, step);
      if (page.next === undefined)
        return { steps: [...steps.values()].toSorted((a, b) => a.rev - b.rev), journalRev: page.journalRev };
      after = page.next;
    }
  }

  /** Looks what has happened to the task; calls that come together are one look. */
  fetchChanges(): void {
    if (this.#fetching) {
      this.#fetchAgain = true;
      return;
    }
    this.#fetching = true;
    void this.#do(async () => {
      do {
        this.#fetchAgain = false;
        const { token } = this.claim;
        const news = await this.#persist(() =>
          this.ports.storage.journal.changesSince({
            ...this.#where(),
            token,
            journalRev: this.listener.journalRev(),
          }),
        );
        this.#take(news);
      } while (this.#fetchAgain);
      this.#fetching = false;
    });
  }

  /** Reports how far the task is: no step, but until it is stored the task is not parked. */
  async report(progress: Progress): Promise<void> {
    const { token } = this.claim;
    const store = () => this.ports.storage.tasks.progress({ ...this.#where(), token, progress });
    try {
      await this.#busyWith(async () => {
        await this.#persist(store);
      });
    } catch (error) {
      // The run is over: its progress is of no interest any more.
      if (!this.#stopped) throw error;
    }
  }

  settle(settlement: Settlement): ReturnType<TaskQueue['settle']> {
    const { token } = this.claim;
    return this.#persist(() => this.ports.storage.queue.settle({ ...this.#where(), token, settlement }));
  }

  /** The run went on while its task was being parked: somebody is to run it again. */
  async wake(): Promise<void> {
    await this.#persist(() => this.ports.storage.queue.wake(this.#where()));
  }

  async #act(asked: AskedStep, step: JournalStep): Promise<void> {
    const { ask } = asked;
    if (ask.kind === 'call' && step.call) {
      const { call_id } = step.call;
      const answer = await this.#callService(ask, call_id, step.tries);
      if (!this.#stopped) await this.#record(step.key, answer, call_id);
    } else if (ask.kind === 'run') {
      const outcome = await doWork(ask.work);
      if (!this.#stopped) await this.#record(step.key, { kind: 'outcome', outcome });
    }
  }

  async #callService(ask: Ask & { kind: 'call' }, callId: string, tries: number): Promise<StepAnswer> {
    const { task } = this.claim;
    const call: ServiceCall = {
      call_id: callId,
      task_id: task.task_id,
      tenant_id: task.tenant_id,
      session_id: task.session_id,
      operation: ask.operation,
      input: null,
      attempt: tries,
      metadata: { user_id: task.metadata.user_id, timeout_ms: ask.silenceMs },
    };
    copyField(ask, call, 'input');
    return this.ports.caller.call(ask.service, call, {
      traceparent: task.metadata.traceparent,
      signal: this.#abort.signal,
    });
  }

  async #record(key: string, answer: StepAnswer, callId?: string): Promise<void> {
    const { token } = this.claim;
    const recorded = await this.#persist(() =>
      this.ports.storage.journal.record({
        ...this.#where(),
        token,
        journalRev: this.listener.journalRev(),
        key,
        answer,
        ...(callId !== undefined && { callId }),
      }),
    );
    this.#take(recorded);
  }

  #take(held: Held<{ readonly answer: string }>): void {
    if (!('journalRev' in held)) this.listener.leaseLost();
    else this.listener.merge(held);
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
      this.listener.quiet();
    }
  }

  /** What is acted upon: one stale answer is asked for again. */
  async #fresh<T>(ask: () => Promise<T>): Promise<T> {
    const askedAt = this.ports.clock.now();
    const answer = await ask();
    return this.ports.clock.now() - askedAt > STALE_MS ? ask() : answer;
  }

  /** While the storage is away nothing is decided: the lease decides in the end. */
  async #persist<T>(write: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await write();
      } catch (error) {
        const away = error instanceof OrchestratorError && error.code === 'storage_unavailable';
        if (!away || this.#stopped) throw error;
        await pause(
          this.ports.clock,
          50 + fullJitter(this.ports.random, attempt, 100, 2_000),
          this.#abort.signal,
        );
      }
    }
  }
}

function requestOf({ key, kind, name, ask }: AskedStep, ports: RunPorts): StepRequest {
  switch (ask.kind) {
    case 'call': {
      const { silenceMs } = ports.caller.service(ask.service);
      const call = {
        callId: ports.random.uuid(),
        service: ask.service,
        operation: ask.operation,
        maxTries: ask.maxTries ?? ports.limits.callTries,
        retryDelayMs: retryDelayMs(ports.random, 1),
        silenceMs: ask.silenceMs ?? silenceMs,
      };
      return { key, kind, name, call };
    }
    case 'sleep':
      return { key, kind, name, dueInMs: ask.ms };
    case 'signal':
      return {
        key,
        kind,
        name,
        signal: ask.name,
        ...(ask.timeoutMs !== undefined && { dueInMs: ask.timeoutMs }),
      };
    case 'run':
      return { key, kind, name };
    default:
      return ask satisfies never;
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

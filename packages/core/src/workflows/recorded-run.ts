import { isDeepStrictEqual } from 'node:util';
import { LazyAbort } from '../runtime/abort.js';
import type { JournalStep } from '../storage/call-journal.js';
import { OrchestratorError } from '../protocol/errors.js';
import { DEFAULTS } from '../protocol/settings.js';
import { messageOf } from '../protocol/thrown.js';
import { deliver } from './delivery.js';
import { Replay } from './replay.js';
import { type Command, newRequestedStep, type RequestedStep, StepNames } from './requested-step.js';
import type { ContextRun } from './run-ports.js';
import { called, type Settled } from './run-function.js';
import type { RunRecording } from './run-recording.js';

/** Where a function departs from its recording. */
export interface Departure {
  /** Name of the recorded step, or of the requested one that the recording does not have; `end` for the end of the run. */
  readonly step: string;
  /** Its key in the journal. */
  readonly key?: string;
  readonly expected: string;
  readonly got: string;
}

/** What a replay came to. */
export interface ReplayReport {
  /** Recorded outcomes that the function was given. */
  readonly replayed: number;
  /** Absent: the function does what is recorded. */
  readonly departure?: Departure;
  /** Where the recording ends, if the function goes on from there. */
  readonly ends?: string;
}

export interface RecordedRunOptions {
  /** Ends the replay. */
  readonly signal?: AbortSignal | undefined;
  /** Time for a function that awaits something else than a step, ms. */
  readonly idleMs: number;
}

/** Errors of a task that its function has not thrown. */
const FROM_OUTSIDE = new Set(['cancelled', 'timeout', 'worker_lost']);

/** A run of a function against a recording: its steps have the outcomes that are recorded, and nothing is executed. */
export class RecordedRun implements ContextRun {
  readonly claim: ContextRun['claim'];
  readonly replaying = true;
  readonly cancelled = false;
  readonly #names = new StepNames();
  readonly #replay: Replay;
  readonly #abort = new LazyAbort();
  readonly #recording: RunRecording;
  #fresh: RequestedStep[] = [];
  #settled: Settled | undefined;
  #departure: Departure | undefined;
  #replayed = 0;
  #now: number;

  constructor(recording: RunRecording) {
    const { task, origin, steps } = recording;
    this.#recording = recording;
    this.claim = { task, seed: origin.seed };
    const journalRev = Math.max(0, ...steps.map(({ rev }) => rev));
    this.#replay = new Replay(steps, { journalRev, replayedTo: journalRev, inherited: origin.inherited });
    this.#now = origin.startedAt ?? 0;
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  get now(): number {
    return this.#now;
  }

  get hasNoSteps(): boolean {
    return this.#recording.steps.length === 0;
  }

  request(command: Command): Promise<unknown> {
    const step = newRequestedStep(this.#names.keyOf(command), command);
    const record = this.#replay.request(step);
    if (!record) this.#fresh.push(step);
    else if (record.kind !== step.kind || record.name !== step.name) this.#depart(record, `"${step.name}"`);
    return step.promise;
  }

  async report(): Promise<void> {}

  /** @param begin calls the function. */
  async run(begin: () => unknown, { signal, idleMs }: RecordedRunOptions): Promise<ReplayReport> {
    called(begin).then(
      (value) => (this.#settled = { ok: true, value }),
      (error: unknown) => (this.#settled = { ok: false, error }),
    );
    for (let idleSince = performance.now(); ;) {
      await new Promise((resolve) => setImmediate(resolve));
      signal?.throwIfAborted();
      if (this.#departure) return this.#report();
      if (this.#deliverNext()) {
        idleSince = performance.now();
        continue;
      }
      const ended = this.#ended();
      if (ended) return ended;
      if (performance.now() - idleSince < idleMs) continue;
      this.#departIdle(idleMs);
    }
  }

  #deliverNext(): boolean {
    const delivery = this.#replay.nextDelivery();
    if (!delivery) return false;
    this.#replayed += 1;
    this.#now = Math.max(this.#now, delivery.step.endedAt ?? 0);
    const repeat = deliver(delivery, (key) => this.#replay.has(key), DEFAULTS);
    if (repeat && !this.#replay.request(repeat)) this.#fresh.push(repeat);
    return true;
  }

  /** The report, if nothing more can come of the recording. */
  #ended(): ReplayReport | undefined {
    const { unrequested } = this.#replay;
    if (this.#settled) {
      if (unrequested) this.#depart(unrequested, endOf(this.#settled));
      else this.#compareEnd(this.#settled);
      return this.#report();
    }
    if (unrequested) return undefined;
    const [fresh] = this.#fresh;
    if (fresh) return this.#endsBefore(fresh);
    return this.#replay.hasOpen ? this.#report('a wait for a step in progress') : undefined;
  }

  /** The recording of a task that has not ended may lack what its next run does. */
  #endsBefore({ key, name }: RequestedStep): ReplayReport {
    if (!this.#hasEndedByItself) return this.#report(`before "${name}"`);
    this.#departure = { step: name, key, expected: `the ${this.#endOfTask}`, got: `a request of "${name}"` };
    return this.#report();
  }

  #compareEnd(settled: Settled): void {
    const { status, result, error } = this.#recording.task;
    const expected = this.#hasEndedByItself
      ? `the ${this.#endOfTask}`
      : 'what the recording does not have yet';
    if (!settled.ok) {
      // The text of an unexpected error is not in the task, which its tenant can read.
      const isRecorded =
        status === 'failed' && (!isTold(settled.error) || messageOf(settled.error) === error?.message);
      if (!isRecorded) this.#departEnd(expected, endOf(settled));
    } else if (!this.#hasEndedByItself) {
      return;
    } else if (status === 'failed') {
      this.#departEnd(`${expected} (${error?.message})`, 'a result');
    } else if (!isSameResult(settled.value, result)) {
      this.#departEnd('the recorded result', 'another one');
    }
  }

  get #hasEndedByItself(): boolean {
    const { status, error } = this.#recording.task;
    return status === 'completed' || (status === 'failed' && !FROM_OUTSIDE.has(error?.code ?? ''));
  }

  get #endOfTask(): string {
    return this.#recording.task.status === 'completed' ? 'recorded result' : 'recorded failure';
  }

  #depart({ name, key }: JournalStep, got: string): void {
    this.#departure ??= { step: name, key, expected: `a request of "${name}"`, got };
  }

  #departEnd(expected: string, got: string): void {
    this.#departure ??= { step: 'end', expected, got };
  }

  #departIdle(idleMs: number): void {
    const { unrequested } = this.#replay;
    const [fresh] = this.#fresh;
    const nothing = `nothing for ${idleMs} ms: the function awaits something other than a step`;
    if (unrequested) this.#depart(unrequested, fresh ? `a request of "${fresh.name}"` : nothing);
    else this.#departEnd('a request of a step, or the end of the function', nothing);
  }

  #report(ends?: string): ReplayReport {
    // What is left of the function ends.
    this.#abort.abort(new Error('the replay is over'));
    return {
      replayed: this.#replayed,
      ...(this.#departure && { departure: this.#departure }),
      ...(ends !== undefined && { ends }),
    };
  }
}

/** Whether tenants see the text of an error: then the task has it. */
function isTold(error: unknown): boolean {
  return error instanceof OrchestratorError;
}

function endOf(settled: Settled): string {
  return settled.ok ? 'the end of the function' : `an error: ${messageOf(settled.error)}`;
}

/** Compared as the storage keeps it: a value that is no JSON is another one. */
function isSameResult(value: unknown, recorded: unknown): boolean {
  try {
    return isDeepStrictEqual(JSON.parse(JSON.stringify(value) ?? 'null'), recorded ?? null);
  } catch {
    return false;
  }
}

import type { JsonObject, JsonValue } from '../protocol/json.js';
import type { StepFailure } from '../protocol/thrown.js';
import type { Usage } from '../protocol/service-call.js';

/** Kind of a step. */
export type StepKind = 'call' | 'run' | 'sleep' | 'signal';

/** Outcome of a step. */
export type StepOutcome =
  | { readonly ok: true; readonly value: JsonValue }
  | { readonly ok: false; readonly error: StepFailure };

/** The open try of a step. `job_id` is set once the service has answered 202. */
export interface OpenCall {
  readonly call_id: string;
  readonly job_id?: string;
}

/** A step of a workflow, as recorded in the journal. */
export interface JournalStep {
  /** The step's `id` option, or derived from its name and occurrence. */
  readonly key: string;
  readonly kind: StepKind;
  /** For display: `query.query`, `sleep`, `signal approve`. */
  readonly name: string;
  /** Journal revision of this step's last change; orders completed steps. */
  readonly rev: number;
  readonly outcome?: StepOutcome;
  /** Time at which the outcome was recorded, epoch ms. */
  readonly endedAt?: number;
  /** Number of tries so far. */
  readonly tries: number;
  readonly call?: OpenCall;
  /** The last try failed, and its back-off has not elapsed. */
  readonly backingOff: boolean;
  /** Begun in an earlier attempt: this attempt may request it, but need not. */
  readonly inherited: boolean;
}

/** A step to begin: stored before its side effects start. Own work may be stored afterwards instead, see `RunStepRequest`. */
export interface StepRequest {
  readonly key: string;
  readonly kind: StepKind;
  readonly name: string;
  readonly call?: {
    readonly callId: string;
    readonly service: string;
    readonly operation: string;
    readonly maxTries: number;
    /** Back-off before the next try, if this one fails and tries remain. */
    readonly retryDelayMs: number;
    /** Maximum time without a notification after a 202; then the try fails. */
    readonly silenceMs: number;
  };
  /** For `sleep`, and for `signal` with a timeout. */
  readonly dueInMs?: number;
  /** For `signal`. */
  readonly signal?: string;
}

/**
 * Changes of a journal since the caller's `journalRev`, oldest first, and the revision they lead to. At most 1 MiB of
 * outcomes; a single one may be larger.
 */
export interface JournalChanges {
  readonly journalRev: number;
  readonly changes: readonly JournalStep[];
  /** More changes exist: request them with this `journalRev`. */
  readonly more?: true;
  /** Present once cancellation was requested. */
  readonly cancelReason?: string;
}

type UnderLease<T> = (T & JournalChanges) | { readonly answer: 'lease_lost' };

/** Effect of a service's response, or of host code, on a step. */
export type StepAnswer =
  | {
      readonly kind: 'outcome';
      readonly outcome: StepOutcome;
      readonly usage?: Usage;
      /** From the cache: the service was not called. */
      readonly cached?: true;
    }
  | { readonly kind: 'accepted'; readonly jobId: string };

interface InTask {
  readonly tenantId: string;
  readonly taskId: string;
}

/** A notification, with the ids that locate its call. */
export interface Report {
  readonly tenantId: string;
  readonly service: string;
  readonly jobId: string;
  readonly callId?: string;
  readonly taskId?: string;
  readonly messageId?: string;
  readonly seq?: number;
  /** Metadata from the service; with progress, it is passed on to subscribers. */
  readonly metadata?: JsonObject;
  readonly body:
    | { readonly kind: 'outcome'; readonly outcome: StepOutcome; readonly usage?: Usage }
    | { readonly kind: 'status'; readonly status: string; readonly details: JsonValue };
}

/** Answer of the storage to a notification. */
export type ReportAnswer =
  | { readonly answer: 'applied' | 'duplicate' | 'stale' | 'late'; readonly taskId: string }
  | { readonly answer: 'unknown_task' | 'retry_later' }
  /** Held until the call's response names its job; `heldReport` returns the result. */
  | { readonly answer: 'held'; readonly heldId: string };

/** Params of `CallJournal.begin`. */
export interface BeginStepParams extends InTask {
  readonly token: string;
  readonly journalRev: number;
  readonly step: StepRequest;
  readonly maxSteps: number;
}

/** Answer of `CallJournal.begin`. */
export type BeginStepResult =
  | UnderLease<{ readonly answer: 'begun' | 'known'; readonly step: JournalStep }>
  | { readonly answer: 'too_many_steps' };

/** A `run` step that is stored with its outcome. */
export interface RunStepRequest {
  /** For display, like `JournalStep.name`. */
  readonly name: string;
  readonly maxSteps: number;
}

/** Params of `CallJournal.record`. */
export interface RecordAnswerParams extends InTask {
  readonly token?: string;
  readonly journalRev: number;
  readonly key: string;
  readonly callId?: string;
  readonly answer: StepAnswer;
  /**
   * Creates the step `key`, of the kind `run`, unless the journal has it. Needs a token and an outcome; excludes `callId`.
   */
  readonly create?: RunStepRequest;
}

/**
 * Answer of `CallJournal.record`. The last two, for `create` only, record nothing. `step_mismatch`: the journal has a step of
 * this key, of another kind or name.
 */
export type RecordAnswerResult =
  | UnderLease<{ readonly answer: 'recorded' | 'known' }>
  | { readonly answer: 'too_many_steps' }
  | { readonly answer: 'step_mismatch'; readonly name: string };

/** Params of `CallJournal.changesSince`. */
export interface ChangesSinceParams extends InTask {
  readonly token: string;
  readonly journalRev: number;
}

/** Answer of `CallJournal.changesSince`. */
export type ChangesSinceResult = UnderLease<{ readonly answer: 'changes' }>;

/** Params of `CallJournal.read`. */
export interface ReadJournalParams extends InTask {
  /** Absent: for an operator or an export, of a task in any state. */
  readonly token?: string;
  /** 0, or the `next` of the page before. */
  readonly after: number;
}

/** Answer of `CallJournal.read`. */
export type ReadJournalResult =
  | {
      readonly answer: 'page';
      readonly steps: readonly JournalStep[];
      readonly journalRev: number;
      readonly next?: number;
      /** Without a token: what a run of the task begins with, besides its journal. */
      readonly origin?: RunOrigin;
    }
  /** Without a token: no such task. */
  | { readonly answer: 'lease_lost' | 'not_found' };

/** What a run of a task begins with, see `Claim`. */
export interface RunOrigin {
  readonly seed: string;
  /** Absent: no attempt has started. */
  readonly startedAt?: number;
  readonly version?: number;
  readonly inherited: number;
}

/** Params of `CallJournal.heldReport`. */
export interface HeldReportParams {
  readonly tenantId: string;
  readonly heldId: string;
}

/** Storage port for workflow steps, service calls and notifications. */
export interface CallJournal {
  /** Stores a step, or its next try, before it is executed. `known`: the step is in progress or has ended. */
  begin(params: BeginStepParams): Promise<BeginStepResult>;
  /**
   * Records a step's answer. Without a token: for a registered task, which has no lease. An outcome that would grow the journal
   * beyond 16 MiB becomes a failure with the code `result_too_large`. With `create`, own work is stored with its outcome, in this
   * one step.
   */
  record(params: RecordAnswerParams): Promise<RecordAnswerResult>;
  /** Journal changes since `journalRev`. */
  changesSince(params: ChangesSinceParams): Promise<ChangesSinceResult>;
  /**
   * The whole journal in pages, bounded like `JournalChanges`: steps in the order of their changes; the last page also has the
   * steps unchanged since they began. A step may appear again in its newer state. `journalRev`: the last change read.
   */
  read(params: ReadJournalParams): Promise<ReadJournalResult>;
  /** Applies a service's notification. Look-ups never leave the tenant. */
  report(report: Report): Promise<ReportAnswer>;
  /** Result of a held notification; `held` while it is still pending. */
  heldReport(params: HeldReportParams): Promise<ReportAnswer>;
}

import type { JsonObject, JsonValue } from '../protocol/json.js';
import type { StepFailure } from '../protocol/thrown.js';
import type { Usage } from '../protocol/service-call.js';

export type StepKind = 'call' | 'run' | 'sleep' | 'signal';

export type StepOutcome =
  | { readonly ok: true; readonly value: JsonValue }
  | { readonly ok: false; readonly error: StepFailure };

/** The try of a step that is under way. `job_id` is there once the service has answered 202. */
export interface OpenCall {
  readonly call_id: string;
  readonly job_id?: string;
}

/** One thing that a workflow asked for. */
export interface JournalStep {
  /** Its `id`, or what was asked and how often. */
  readonly key: string;
  readonly kind: StepKind;
  /** In words: `query.query`, `sleep`, `signal approve`. */
  readonly name: string;
  /** Number of the journal's last change of this step; steps that have ended are in this order. */
  readonly rev: number;
  readonly outcome?: StepOutcome;
  /** When the outcome was recorded, in milliseconds since 1970. */
  readonly endedAt?: number;
  /** How many tries there have been. */
  readonly tries: number;
  readonly call?: OpenCall;
  /** The last try failed and the next one may not begin yet. */
  readonly backingOff: boolean;
  /** Begun in an earlier attempt: this one may ask for it, but need not. */
  readonly inherited: boolean;
}

/** A step that is begun: stored before anything is done for it. */
export interface StepRequest {
  readonly key: string;
  readonly kind: StepKind;
  readonly name: string;
  readonly call?: {
    readonly callId: string;
    readonly service: string;
    readonly operation: string;
    readonly maxTries: number;
    /** Back-off if this try fails and another is left. */
    readonly retryDelayMs: number;
    /** A 202 that is followed by nothing for longer than this has failed. */
    readonly silenceMs: number;
  };
  /** For `sleep`, and for `signal` with a limit: when it ends by itself. */
  readonly dueInMs?: number;
  /** For `signal`. */
  readonly signal?: string;
}

/**
 * Where a worker stands in a journal after a step of the storage: what rev since `journalRev`, oldest first, as much of it as
 * has 1 MiB of outcomes, unless one is larger.
 */
export interface JournalChanges {
  readonly journalRev: number;
  readonly changes: readonly JournalStep[];
  /** There are more changes: to be asked for with this `journalRev`. */
  readonly more?: true;
  /** Present once the task is to be cancelled. */
  readonly cancelReason?: string;
}

type Held<T> = (T & JournalChanges) | { readonly answer: 'lease_lost' };

/** What a service's answer or a piece of the host's own work makes of a step. */
export type StepAnswer =
  | { readonly kind: 'outcome'; readonly outcome: StepOutcome; readonly usage?: Usage }
  | { readonly kind: 'accepted'; readonly jobId: string };

interface InTask {
  readonly tenantId: string;
  readonly taskId: string;
}

/** A notification, with what is needed to find its call. */
export interface Report {
  readonly tenantId: string;
  readonly service: string;
  readonly jobId: string;
  readonly callId?: string;
  readonly taskId?: string;
  readonly messageId?: string;
  readonly seq?: number;
  /** What the service says besides; of progress, it reaches those who follow. */
  readonly metadata?: JsonObject;
  readonly body:
    | { readonly kind: 'outcome'; readonly outcome: StepOutcome; readonly usage?: Usage }
    | { readonly kind: 'status'; readonly status: string; readonly details: JsonValue };
}

export type ReportAnswer =
  | { readonly answer: 'applied' | 'duplicate' | 'stale' | 'late'; readonly taskId: string }
  | { readonly answer: 'unknown_task' | 'retry_later' }
  /** Stored until the call's answer names its job; `heldReport` tells what became of it. */
  | { readonly answer: 'held'; readonly heldId: string };

/** What calls and the intake of notifications ask of the storage. */
export interface CallJournal {
  /** Stores a step, or the next try of one, before it is acted on. `known`: it is under way or has ended. */
  begin(
    params: InTask & {
      readonly token: string;
      readonly journalRev: number;
      readonly step: StepRequest;
      readonly maxSteps: number;
    },
  ): Promise<
    | Held<{ readonly answer: 'begun' | 'known'; readonly step: JournalStep }>
    | { readonly answer: 'too_many_steps' }
  >;
  /**
   * Records an answer. Without a token: for a task that is registered, not leased. An outcome that would make the journal larger
   * than 16 MiB becomes a failure with the code `result_too_large`.
   */
  record(
    params: InTask & {
      readonly token?: string;
      readonly journalRev: number;
      readonly key: string;
      readonly callId?: string;
      readonly answer: StepAnswer;
    },
  ): Promise<Held<{ readonly answer: 'recorded' | 'known' }>>;
  /** What a worker has missed. */
  changesSince(
    params: InTask & { readonly token: string; readonly journalRev: number },
  ): Promise<Held<{ readonly answer: 'changes' }>>;
  /**
   * A whole journal, in pages that are bounded as news are: its steps in the order of their changes; with the last page also those
   * that have not rev since they were begun. A step may come again, as it is then. `journalRev`: the last change that was read.
   */
  read(
    params: InTask & {
      readonly token: string;
      /** 0, or the `next` of the page before. */
      readonly after: number;
    },
  ): Promise<
    | {
        readonly answer: 'page';
        readonly steps: readonly JournalStep[];
        readonly journalRev: number;
        readonly next?: number;
      }
    | { readonly answer: 'lease_lost' }
  >;
  /** A notification of a service. Look-ups never leave the tenant. */
  report(report: Report): Promise<ReportAnswer>;
  /** What became of a notification that was held: `held` while it still is. */
  heldReport(params: { readonly tenantId: string; readonly heldId: string }): Promise<ReportAnswer>;
}

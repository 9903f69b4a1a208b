import type {
  ClaimCachedParams,
  ClaimCachedResult,
  PutCachedParams,
  RemoveCachedParams,
  RenewCachedParams,
} from '../storage/cache-store.js';
import type {
  BeginStepParams,
  BeginStepResult,
  RecordAnswerParams,
  RecordAnswerResult,
  Report,
  ReportAnswer,
} from '../storage/call-journal.js';
import type { LogHeadParams } from '../storage/event-log.js';
import type {
  AppendMessageParams,
  AppendMessageResult,
  CloseSessionParams,
  CreateSessionParams,
  CreateSessionResult,
  UpdateSessionParams,
  UpdateSessionResult,
} from '../storage/session-store.js';
import type {
  Claim,
  ClaimParams,
  Lease,
  RenewParams,
  SettleParams,
  SettleResult,
  WakeParams,
  WakeResult,
} from '../storage/task-queue.js';
import type {
  CancelBatchParams,
  CancelTaskParams,
  CancelTaskResult,
  DiscardParams,
  DiscardResult,
  FinishParams,
  FinishResult,
  RedriveParams,
  RedriveResult,
  RegisterParams,
  RegisterResult,
  ReportProgressParams,
  ReportProgressResult,
  SignalParams,
  SignalResult,
  SubmitAnswer,
  SubmitBatchParams,
  SubmitBatchResult,
  SubmitParams,
} from '../storage/task-records.js';
import type { ConfigureTenantParams, TenantStats } from '../storage/tenant-store.js';
import type { IssuedTicket, IssueTicketParams, SpendTicketParams } from '../storage/ticket-store.js';
import type { AddUsageParams } from '../storage/usage-ledger.js';
import type { AnnounceParams, LeaveWorkerParams } from '../storage/worker-directory.js';
import type { Invalidated, InvalidatePortion, PutPortion } from './cache/caches.js';
import type { EngineLimits } from './engine-state.js';
import type { SessionClosed } from './sessions/sessions.js';
import type { CancelGroup, CancelPortion } from './tasks/tasks.js';
import type { Fired, FireParams } from './timers/sweep.js';

/** A command's params, which are JSON, and its result. */
interface Step<Params, Result> {
  readonly params: Params;
  readonly result: Result;
}

export interface ReopenParams {
  readonly limits: EngineLimits;
  /** A new one for all event logs, where readers may know events that are lost. */
  readonly epoch?: string;
  /** Whether the workers of the process before still run, as in tests. Default: no. */
  readonly keepsWorkers?: boolean;
}

type None = Readonly<Record<string, never>>;

/** Every atomic step that changes the state of an engine, by name. */
interface CommandTypes {
  /** A process opens the state that another one has left. */
  'state.reopen': Step<ReopenParams, void>;
  'tasks.submit': Step<SubmitParams, SubmitAnswer>;
  'tasks.submitBatch': Step<SubmitBatchParams, SubmitBatchResult>;
  'tasks.cancelBatch': Step<Omit<CancelBatchParams, 'signal'>, CancelPortion | undefined>;
  /** A further portion of the tasks of a cancelled batch or a closed session. */
  'tasks.cancelMore': Step<{ readonly tenantId: string; readonly group: CancelGroup }, CancelPortion>;
  'tasks.register': Step<RegisterParams, RegisterResult>;
  'tasks.redrive': Step<RedriveParams, RedriveResult>;
  'tasks.discard': Step<DiscardParams, DiscardResult>;
  'tasks.finish': Step<FinishParams, FinishResult>;
  'tasks.progress': Step<ReportProgressParams, ReportProgressResult>;
  'tasks.cancel': Step<CancelTaskParams, CancelTaskResult>;
  'tasks.signal': Step<SignalParams, SignalResult>;
  'queue.claim': Step<Omit<ClaimParams, 'waitMs' | 'signal'>, readonly Claim[]>;
  'queue.renew': Step<RenewParams, readonly Lease[]>;
  'queue.settle': Step<SettleParams, SettleResult>;
  'queue.wake': Step<WakeParams, WakeResult>;
  /** The first step of a sweep: drops what has expired without a timer. */
  'sweep.expire': Step<None, { readonly now: number }>;
  /** The further steps of a sweep: a portion of the due timers. */
  'sweep.fire': Step<FireParams, Fired>;
  'journal.begin': Step<BeginStepParams, BeginStepResult>;
  'journal.record': Step<RecordAnswerParams, RecordAnswerResult>;
  'journal.report': Step<Report, ReportAnswer>;
  'sessions.create': Step<CreateSessionParams, CreateSessionResult>;
  'sessions.update': Step<UpdateSessionParams, UpdateSessionResult>;
  'sessions.append': Step<AppendMessageParams, AppendMessageResult>;
  'sessions.close': Step<Omit<CloseSessionParams, 'signal'>, SessionClosed>;
  /** A followed log is kept, though it may be empty: so a follower counts. */
  'events.follow': Step<LogHeadParams, void>;
  'events.unfollow': Step<LogHeadParams, void>;
  'tenants.configure': Step<ConfigureTenantParams, TenantStats>;
  'tickets.issue': Step<IssueTicketParams, IssuedTicket>;
  'tickets.spend': Step<SpendTicketParams, string | undefined>;
  'usage.add': Step<AddUsageParams, void>;
  'cache.claim': Step<ClaimCachedParams, ClaimCachedResult>;
  'cache.renew': Step<RenewCachedParams, boolean>;
  /** Repeated while it evicts others. */
  'cache.put': Step<PutCachedParams, PutPortion>;
  'cache.remove': Step<RemoveCachedParams, void>;
  /** A portion of an invalidation. */
  'cache.invalidate': Step<InvalidatePortion, Invalidated>;
  'workers.announce': Step<AnnounceParams, void>;
  'workers.leave': Step<LeaveWorkerParams, void>;
}

export type CommandName = keyof CommandTypes;
export type CommandParams<N extends CommandName> = CommandTypes[N]['params'];
export type CommandResult<N extends CommandName> = CommandTypes[N]['result'];

/**
 * One atomic step, as JSON: the same settings and the same commands lead to the same state and the same results. The params
 * are not changed after the call.
 */
export interface Command<N extends CommandName = CommandName> {
  readonly name: N;
  /** The clock, epoch ms. It may be earlier than that of the command before. */
  readonly at: number;
  /** A random id, for commands that make one. */
  readonly seed?: string;
  readonly params: CommandParams<N>;
}

export {
  type EntryChange,
  type EntryStore,
  type EntryText,
  entryTexts,
  type PutEntriesParams,
  type ReadEntriesParams,
  type StoredEntry,
} from './entry-store.js';
export {
  type FollowSystemEventsParams,
  type PublishSystemEventParams,
  storageEvents,
  type SystemEvent,
  type SystemEvents,
} from './system-events.js';
export {
  cachedBytes,
  type CacheStore,
  type ClaimCachedParams,
  type ClaimCachedResult,
  type InvalidateCachedParams,
  type PutCachedParams,
  type PutCachedResult,
  type RemoveCachedParams,
  type RenewCachedParams,
} from './cache-store.js';
export type { Wakeup, Wakeups } from './wakeups.js';
export type {
  BeginStepParams,
  BeginStepResult,
  CallJournal,
  ChangesSinceParams,
  ChangesSinceResult,
  HeldReportParams,
  JournalChanges,
  JournalStep,
  OpenCall,
  ReadJournalParams,
  ReadJournalResult,
  RunOrigin,
  RecordAnswerParams,
  RecordAnswerResult,
  Report,
  ReportAnswer,
  RunStepRequest,
  StepAnswer,
  StepKind,
  StepOutcome,
  StepRequest,
} from './call-journal.js';
export type {
  EventLog,
  FollowEventsParams,
  LogGap,
  LogHeadParams,
  ReadEventsParams,
  ReadEventsResult,
  TaskEnd,
} from './event-log.js';
export type {
  AppendMessageParams,
  AppendMessageResult,
  CloseSessionParams,
  CloseSessionResult,
  CreateSessionParams,
  CreateSessionResult,
  GetSessionParams,
  ListMessagesParams,
  ListSessionsParams,
  ListSessionsResult,
  SessionStore,
  UpdateSessionParams,
  UpdateSessionResult,
} from './session-store.js';
export type {
  Claim,
  ClaimParams,
  ClaimedMessages,
  Lease,
  RenewParams,
  Runnable,
  SettleParams,
  SettleResult,
  Settlement,
  SweepParams,
  Swept,
  TaskQueue,
  WakeParams,
  WakeResult,
} from './task-queue.js';
export type {
  BatchSubmission,
  CancelBatchParams,
  CancelTaskParams,
  CancelTaskResult,
  CountTasksParams,
  CountTasksResult,
  ExplainParams,
  FinalOutcome,
  FinishParams,
  FinishResult,
  FirstReadyParams,
  GetBatchParams,
  GetTaskParams,
  GetTaskResult,
  Idempotency,
  ListTasksParams,
  ListTasksResult,
  NewMessage,
  NewTask,
  DiscardParams,
  DiscardResult,
  RedriveParams,
  RedriveResult,
  RegisterParams,
  RegisterResult,
  ReportProgressParams,
  ReportProgressResult,
  SignalParams,
  SignalResult,
  Submission,
  SubmitAnswer,
  SubmitBatchParams,
  SubmitBatchResult,
  SubmitParams,
  BudgetRefusal,
  SubmitRefusal,
  TaskRecords,
  TrackedCall,
} from './task-records.js';
export type {
  ConfigureTenantParams,
  GetTenantParams,
  ListTenantsParams,
  ListTenantsResult,
  TenantBudget,
  TenantRates,
  TenantStore,
} from './tenant-store.js';
export {
  type IssueTicketParams,
  type IssuedTicket,
  KEPT_SPENT_TICKETS,
  type SpendTicketParams,
  type TicketStore,
} from './ticket-store.js';
export { type SettingsOnWire, settingsFromWire, settingsToWire } from './settings-on-wire.js';
export { type Bucket, levelAt, ONE, untilRoom } from './bucket.js';
export { ITEM_REFUSALS, type ItemRefusal, refusedItem } from './item-refusals.js';
export { nextPeriod, periodStart } from './budget-periods.js';
export {
  type AddUsageParams,
  type SumUsageParams,
  type UsageAmounts,
  type UsageDetail,
  type UsageLedger,
  type UsageSum,
  dayOf,
  needsDetails,
  OTHER,
  USAGE_SUMMARY,
  UsageSums,
} from './usage-ledger.js';
export type {
  AnnounceParams,
  AnnouncedType,
  LeaveWorkerParams,
  ReadAnnouncedTypeParams,
  WorkerDirectory,
  WorkerEntry,
} from './worker-directory.js';
export { mergedContext } from './merged-context.js';
export { BoundedPage } from './bounded-page.js';
export { type ExplainFacts, explain } from './explain.js';
export { type StoragePorts, checked } from './checked-storage.js';
export type { EventRecord } from '../protocol/events.js';
export { systemClock } from '../runtime/clock.js';
export { systemRandom } from '../runtime/random.js';
export type { SessionState } from './session-store.js';
export type { TaskFilter } from './task-records.js';
export type { TenantSettings } from './tenant-store.js';
export type { UsageRow } from './usage-ledger.js';
export type { Diagnostic } from '../protocol/thrown.js';
export { atMost, every, pause } from '../runtime/clock.js';
export { Fifo } from '../runtime/fifo.js';
export { type WaitOptions, WakeSignal } from '../runtime/wake-signal.js';
export { type AvailabilityOptions, isUnavailable, untilAvailable } from '../runtime/until-available.js';
export type {
  ExportRecordsParams,
  ImportRecordsParams,
  ImportSource,
  PortableState,
} from './portable-state.js';
export { type ExportCounts, exportLines, type ExportSummary, readExport } from './portable-lines.js';
export { portions } from './portable-pages.js';
export type {
  BatchItemRecord,
  BatchItemsRecord,
  BatchRecord,
  CallRecord,
  CancellingRecord,
  DroppedCallRecord,
  JournalRecord,
  KeyRecord,
  MessageOfSession,
  MessagesRecord,
  PortableRecord,
  SessionRecord,
  SignalIdRecord,
  StepCallRecord,
  StepRecord,
  TaskRecord,
  TenantRecord,
  UsageDetailsRecord,
  UsageRecord,
} from './portable-records.js';
export { reservedTokens, submittedPartOf } from './portable-records.js';
export {
  defaultBurst,
  KEPT_LEASES,
  type LeaseRateParams,
  maxLease,
  type Rate,
  type RateLease,
  type RateStore,
  REQUEST_RATE,
} from './rate-store.js';

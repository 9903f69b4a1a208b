export {
  type Issue,
  ERROR_CODES,
  type ErrorCode,
  isErrorCode,
  OrchestratorError,
  type OrchestratorErrorOptions,
  type TaskError,
} from './protocol/errors.js';
export { listSchema } from './protocol/list.js';
export { describe, validate } from './protocol/validation.js';
export {
  JsonRefusedError,
  type JsonInput,
  type JsonObject,
  type JsonValue,
  jsonObjectSchema,
  jsonValueSchema,
  MAX_JSON_DEPTH,
  MAX_RESULT_BYTES,
  parseJson,
} from './protocol/json.js';
export { idSchema, jobIdSchema, nameSchema, newToken, taskTypeSchema, uuidSchema } from './protocol/ids.js';
export {
  accepted,
  type AnyJson,
  acceptedSchema,
  answered,
  answeredSchema,
  type InProcessService,
  type ServiceCall,
  serviceCallSchema,
  ServiceReply,
} from './protocol/service-call.js';
export { readUsage, type Usage } from './protocol/usage.js';
export { cutPosition, cutText, cutToBytes } from './protocol/text.js';
export { readRetryAfter } from './protocol/retry-after.js';
export {
  type Ack,
  ACK_OUTCOMES,
  type AckOutcome,
  ackSchema,
  type GatewayOutcome,
  type HubFrame,
  type Notification,
  notificationSchema,
  type ServiceHello,
  serviceHelloSchema,
  type TaskCancel,
  taskCancelSchema,
  type TaskNotification,
} from './protocol/service-socket.js';
export { type AboutTask, TaskNotifier, type TaskNotifierOptions } from './notifier/task-notifier.js';
export { type InProcessHub, InProcessTransport } from './notifier/in-process-transport.js';
export type { NotifierTransport, OutgoingNotification } from './notifier/transport.js';
export { type Clock, pause, systemClock } from './runtime/clock.js';
export { type Random, systemRandom } from './runtime/random.js';
export { fullJitter } from './protocol/full-jitter.js';
export { MemoryStorage, type MemoryStorageOptions } from './engine/memory-storage.js';
export type { Storage } from './storage/storage.js';
export type { Wakeup, Wakeups } from './storage/wakeups.js';
export type {
  CallJournal,
  JournalChanges,
  JournalStep,
  OpenCall,
  Report,
  ReportAnswer,
  StepAnswer,
  StepKind,
  StepOutcome,
  StepRequest,
  BeginStepParams,
  BeginStepResult,
  ChangesSinceParams,
  ChangesSinceResult,
  HeldReportParams,
  ReadJournalParams,
  ReadJournalResult,
  RecordAnswerParams,
  RecordAnswerResult,
} from './storage/call-journal.js';
export type {
  EventLog,
  LogGap,
  TaskEnd,
  FollowEventsParams,
  LogHeadParams,
  ReadEventsParams,
  ReadEventsResult,
} from './storage/event-log.js';
export type {
  SessionState,
  SessionStore,
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
  UpdateSessionParams,
  UpdateSessionResult,
} from './storage/session-store.js';
export type {
  Claim,
  Lease,
  Runnable,
  Settlement,
  Swept,
  TaskQueue,
  ClaimParams,
  RenewParams,
  SettleParams,
  SettleResult,
  SweepParams,
  WakeParams,
  WakeResult,
} from './storage/task-queue.js';
export type {
  BatchSubmission,
  Explanation,
  FinalOutcome,
  Idempotency,
  NewMessage,
  NewTask,
  Submission,
  SubmitAnswer,
  SubmitRefusal,
  TaskFilter,
  TaskRecords,
  TrackedCall,
  CancelBatchParams,
  CancelTaskParams,
  CancelTaskResult,
  CountTasksParams,
  CountTasksResult,
  ExplainParams,
  FinishParams,
  FinishResult,
  FirstReadyParams,
  GetBatchParams,
  GetTaskParams,
  GetTaskResult,
  ListTasksParams,
  ListTasksResult,
  RedriveParams,
  RedriveResult,
  RegisterParams,
  RegisterResult,
  ReportProgressParams,
  ReportProgressResult,
  SignalParams,
  SignalResult,
  SubmitBatchParams,
  SubmitBatchResult,
  SubmitParams,
} from './storage/task-records.js';
export type {
  TenantSettings,
  TenantStats,
  TenantStore,
  ConfigureTenantParams,
  GetTenantParams,
  ListTenantsParams,
  ListTenantsResult,
} from './storage/tenant-store.js';
export {
  type IssuedTicket,
  KEPT_SPENT_TICKETS,
  type TicketStore,
  type IssueTicketParams,
  type SpendTicketParams,
} from './storage/ticket-store.js';
export {
  dayOf,
  tooManyRows,
  type UsageLedger,
  type UsageRow,
  type AddUsageParams,
  type SumUsageParams,
} from './storage/usage-ledger.js';
export type {
  AnnouncedType,
  WorkerDirectory,
  WorkerEntry,
  AnnounceParams,
  LeaveWorkerParams,
  ReadAnnouncedTypeParams,
} from './storage/worker-directory.js';
export { mergedContext } from './storage/merged-context.js';
export { BoundedPage } from './storage/bounded-page.js';
export { checked, type StoragePorts } from './storage/checked-storage.js';
export { boundedJson, copyJson, type JsonRule } from './protocol/bounded-json.js';
export { addFromText, copyField, fieldText, writeJson } from './protocol/known-text.js';
export { parseJsonInPortions, PORTION as JSON_PORTION } from './protocol/portioned-json.js';
export { type Diagnostic, diagnose, messageOf, type StepFailure, toTaskError } from './protocol/thrown.js';
export {
  isFinalState,
  isLegal,
  statusOf,
  type TaskState,
  type TaskVerb,
  TRANSITIONS,
  type Transition,
} from './protocol/task-state.js';
export {
  type Batch,
  type BatchItem,
  batchSubmissionSchema,
  cancelBodySchema,
  type ChatRequest,
  chatRequestSchema,
  type DelegatedService,
  FINAL_STATUSES,
  isFinal,
  ON_BUSY,
  type OnBusy,
  prioritySchema,
  type Progress,
  signalBodySchema,
  type Task,
  TASK_STATUSES,
  type TaskMetadata,
  type TaskStatus,
  type TaskSubmission,
  taskSubmissionSchema,
} from './protocol/task.js';
export {
  type Message,
  MESSAGE_ROLES,
  type MessageRole,
  type Session,
  sessionCreationSchema,
  sessionPatchSchema,
} from './protocol/session.js';
export {
  clientFrameSchema,
  clientHelloSchema,
  type Cursor,
  cursorSchema,
  type EventName,
  FINAL_EVENTS,
  formatCursor,
  type Gap,
  isFinalEvent,
  parseCursor,
  type Snapshot,
  type TaskEvent,
  type Topic,
  topicSchema,
} from './protocol/events.js';
export { type OrchestrationPlan, planSchema, type PlanStep, planStepSchema } from './protocol/plan.js';
export { DEFAULTS } from './protocol/settings.js';
export type { OrchestratorStats } from './orchestrator-stats.js';
export type { SweeperStats, WorkerStats } from './worker/worker-stats.js';
export { type Health, Orchestrator } from './orchestrator.js';
export {
  type OrchestratorOptions,
  type Role,
  ROLES,
  type UnhandledRejections,
} from './orchestrator-options.js';
export { TenantAdmin, type TenantChange } from './tenants/tenant-admin.js';
export {
  type IdempotencyOptions,
  type TenantBatches,
  TenantHandle,
  type TenantSessions,
  type TenantTasks,
} from './tenant.js';
export { concerns, type FollowOptions, TenantEvents } from './events/tenant-events.js';
export { Gateway, type GatewayAnswer, type GatewayJob, type GatewayRequest } from './intake/gateway.js';
export { Intake, type IntakeResult, type ServiceIdentity } from './intake/intake.js';
export { type ServiceLink, ServiceLinks } from './intake/service-links.js';
export { guardedLogger, type Logger, silentLogger } from './runtime/logger.js';
export { type Accepted, GlobalTaskRegistry, type RegistryOptions } from './tasks/global-task-registry.js';
export type { TaskTypes } from './tasks/new-task.js';
export { SessionManager } from './sessions/session-manager.js';
export type {
  HttpServiceSettings,
  InProcessServiceSettings,
  ServiceSettings,
} from './services/service-settings.js';
export type { CallOptions, CallResult, WorkflowContext, WorkflowFunction } from './workflows/context.js';
export type { WorkflowOptions } from './workflows/catalog.js';
export type { ChatPayload } from './workflows/flows/conversation.js';
export type { WorkflowPayload } from './workflows/flows/workflow-task.js';
export { ServiceCallError, StepError } from './workflows/step-error.js';

export {
  ERROR_CODES,
  type ErrorCode,
  type Issue,
  OrchestratorError,
  type OrchestratorErrorOptions,
  type TaskError,
  isErrorCode,
} from './protocol/errors.js';
export type { JsonArgument, JsonInput, JsonObject, JsonValue } from './protocol/json.js';
export {
  type InProcessService,
  type ServiceCall,
  ServiceReply,
  accepted,
  answered,
} from './protocol/service-call.js';
export type { Usage } from './protocol/usage.js';
export { TaskNotifier, type TaskNotifierOptions } from './notifier/task-notifier.js';
export { InProcessTransport } from './notifier/in-process-transport.js';
export { type Clock, systemClock } from './runtime/clock.js';
export { type Random, systemRandom } from './runtime/random.js';
export { MemoryStorage, type MemoryStorageOptions } from './engine/memory-storage.js';
export type { Storage } from './storage/storage.js';
export type { SessionState } from './storage/session-store.js';
export type { Explanation, TaskFilter } from './storage/task-records.js';
export type { TenantSettings, TenantStats } from './storage/tenant-store.js';
export type { UsageRow } from './storage/usage-ledger.js';
export type { Diagnostic } from './protocol/thrown.js';
export {
  type Batch,
  type BatchItem,
  type ChatRequest,
  FINAL_STATUSES,
  type OnBusy,
  type Progress,
  TASK_STATUSES,
  type Task,
  type TaskMetadata,
  type TaskStatus,
  type TaskSubmission,
  isFinal,
} from './protocol/task.js';
export type { Message, MessageRole, Session } from './protocol/session.js';
export {
  type EventData,
  type EventName,
  FINAL_EVENTS,
  type Gap,
  type Snapshot,
  type TaskEvent,
  type Topic,
  isFinalEvent,
} from './protocol/events.js';
export type { OrchestrationPlan, PlanStep } from './protocol/plan.js';
export type { OrchestratorStats } from './orchestrator-stats.js';
export type { SweeperStats, WorkerStats } from './worker/worker-stats.js';
export { type Health, Orchestrator } from './orchestrator.js';
export {
  type OrchestratorOptions,
  ROLES,
  type Role,
  type UnhandledRejections,
} from './orchestrator-options.js';
export { TenantAdmin, type TenantChange } from './tenants/tenant-admin.js';
export type { RequestOptions, SubmitOptions } from './tenant/submit-options.js';
export { SubmittedTask, TaskHandle, type WaitOptions } from './tenant/task-handle.js';
export type { TenantBatches } from './tenant/tenant-batches.js';
export { TenantHandle } from './tenant/tenant-handle.js';
export type { TenantSessions } from './tenant/tenant-sessions.js';
export type { TenantTasks } from './tenant/tenant-tasks.js';
export { type FollowOptions, TenantEvents } from './events/tenant-events.js';
export { type Logger, silentLogger } from './runtime/logger.js';
export { GlobalTaskRegistry, type TaskReceipt, type RegistryOptions } from './tasks/global-task-registry.js';
export { SessionManager } from './sessions/session-manager.js';
export type {
  HttpServiceSettings,
  InProcessServiceSettings,
  SenderServiceSettings,
  ServiceSettings,
} from './services/service-settings.js';
export type { CallOptions, StepOptions, WorkflowContext, WorkflowFunction } from './workflows/context.js';
export { type DefinitionOptions, type WorkflowDefinition, defineWorkflow } from './workflows/definition.js';
export type { StandardSchema } from './protocol/standard-schema.js';
export type { Contracts, OperationContract, ServiceContract } from './services/contracts.js';
export type { CallStage, OutboundCall, SendResult, Sender } from './services/call-stage.js';
export type { OrchestratorHooks } from './runtime/hooks.js';
export type { WorkflowOptions } from './workflows/catalog.js';
export type { ChatPayload } from './workflows/flows/conversation.js';
export type { WorkflowPayload } from './workflows/flows/workflow-task.js';
export { ServiceCallError, StepError } from './workflows/step-error.js';

export { type ErrorCode, type Issue, OrchestratorError, type TaskError } from './protocol/errors.js';
export type { JsonArgument, JsonObject, JsonValue } from './protocol/json.js';
export { type ServiceCall, accepted, answered } from './protocol/service-call.js';
export type { Usage } from './protocol/usage.js';
export { TaskNotifier } from './notifier/task-notifier.js';
export { InProcessTransport } from './notifier/in-process-transport.js';
export { type Clock } from './runtime/clock.js';
export { type Random } from './runtime/random.js';
export { MemoryStorage, type MemoryStorageOptions } from './engine/memory-storage.js';
export { EngineStorage } from './engine/engine-storage.js';
export { EntryFolder, type EntryFolderOptions } from './file/entry-folder.js';
export { FileStorage, type FileStorageOptions } from './file/file-storage.js';
export type { Durability } from './file/log-writer.js';
export type { Storage } from './storage/storage.js';
export type { Explanation } from './storage/task-records.js';
export type { TenantStats } from './storage/tenant-store.js';
export {
  type Batch,
  type ChatRequest,
  type OnBusy,
  type Progress,
  type Task,
  type TaskMetadata,
  type TaskStatus,
  type TaskSubmission,
  isFinal,
} from './protocol/task.js';
export type { Message, Session } from './protocol/session.js';
export { type Gap, type TaskEvent, isFinalEvent } from './protocol/events.js';
export type { OrchestrationPlan } from './protocol/plan.js';
export type {
  CacheAsideAnswer,
  CacheAsideRequest,
  ComputeOptions,
  Generate,
  InvalidateRequest,
  OrchestratorCache,
  ValueWithCost,
} from './cache/orchestrator-cache.js';
export type { OrchestratorUsage, TokenType, TokenUsage, UsageQuery } from './usage/orchestrator-usage.js';
export type { ModelPrice, PriceTable } from './usage/price-table.js';
export type { UsageAmounts, UsageSum } from './storage/usage-ledger.js';
export type { UsageDimension } from './protocol/usage-dimensions.js';
export type { CacheKindStats } from './cache/cache-stats.js';
export type { OrchestratorStats } from './orchestrator-stats.js';
export { type Health, Orchestrator } from './orchestrator.js';
export { type OrchestratorOptions, type Role } from './orchestrator-options.js';
export type { RequestOptions, SubmitOptions } from './tenant/submit-options.js';
export { SubmittedTask, TaskHandle, type WaitOptions } from './tenant/task-handle.js';
export { TenantHandle } from './tenant/tenant-handle.js';
export { type Logger } from './runtime/logger.js';
export { GlobalTaskRegistry, type TaskReceipt } from './tasks/global-task-registry.js';
export { SessionManager } from './sessions/session-manager.js';
export type { ServiceSettings } from './services/service-settings.js';
export type { CallOptions, StepOptions, WorkflowContext, WorkflowFunction } from './workflows/context.js';
export { type DefinitionOptions, type WorkflowDefinition, defineWorkflow } from './workflows/definition.js';
export type { StandardSchema } from './protocol/standard-schema.js';
export type { Contracts, OperationContract, ServiceContract } from './services/contracts.js';
export type {
  CallStage,
  OperationCacheSettings,
  OutboundCall,
  SendResult,
  Sender,
  ServiceCacheSettings,
} from './services/call-stage.js';
export type { OrchestratorHooks } from './runtime/hooks.js';
export type { WorkflowOptions } from './workflows/catalog.js';
export type { ChatPayload } from './workflows/flows/conversation.js';
export type { WorkflowPayload } from './workflows/flows/workflow-task.js';
export { ServiceCallError, StepError } from './workflows/step-error.js';

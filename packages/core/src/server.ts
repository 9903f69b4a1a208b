export type { AboutTask } from './notifier/task-notifier.js';
export type { InProcessHub } from './notifier/in-process-transport.js';
export type { NotifierTransport, OutgoingNotification } from './notifier/transport.js';
export { atMost, every, pause } from './runtime/clock.js';
export { Fifo } from './runtime/fifo.js';
export { type WaitOptions, WakeSignal } from './runtime/wake-signal.js';
export { validateOwned } from './protocol/validated.js';
export type { DelegatedService } from './protocol/task.js';
export { concerns } from './events/tenant-events.js';
export { Gateway, type GatewayAnswer, type GatewayJob, type GatewayRequest } from './intake/gateway.js';
export { Intake, type IntakeResult, type ServiceIdentity } from './intake/intake.js';
export { type ServiceLink, ServiceLinks } from './intake/service-links.js';
export { guardedLogger } from './runtime/logger.js';
export type { TaskTypes } from './tasks/new-task.js';
export type { InProcessService } from './protocol/service-call.js';
export type { SweeperStats } from './worker/worker-stats.js';
export type { WorkerStats } from './worker/worker-stats.js';
export { isDefinition } from './workflows/definition.js';
export { ROLES } from './orchestrator-options.js';
export type { UnhandledRejections } from './orchestrator-options.js';
export type {
  Admin,
  AdminPage,
  BulkOptions,
  BulkReport,
  CacheReport,
  JournalReport,
  OverviewCounts,
  OverviewReport,
  QueueReport,
  ServiceReport,
  SystemEventReport,
  TaskOfTenant,
  TenantAtLimit,
  TenantReport,
  TimelineReport,
  TimelineStep,
  WorkerReport,
} from './admin/admin.js';
export { StorageAdmin, type StorageAdminParts } from './admin/storage-admin.js';
export type { ServiceKind, ServiceProbe } from './services/probe-service.js';
export { TenantAdmin } from './tenants/tenant-admin.js';
export type { TenantChange } from './tenants/tenant-admin.js';
export type { TenantBatches } from './tenant/tenant-batches.js';
export type { TenantSessions } from './tenant/tenant-sessions.js';
export type { TenantTasks } from './tenant/tenant-tasks.js';
export type { FollowOptions } from './events/tenant-events.js';
export { TenantEvents } from './events/tenant-events.js';
export { silentLogger } from './runtime/logger.js';
export type { RegistryOptions } from './tasks/registry-options.js';
export { priceTableSchema } from './usage/price-table.js';
export { serviceCacheSchema } from './services/service-settings.js';
export type { HttpServiceSettings } from './services/service-settings.js';
export type { InProcessServiceSettings } from './services/service-settings.js';
export type { SenderServiceSettings } from './services/service-settings.js';
export {
  checkFolder,
  type EntryContents,
  type FolderCheck,
  type FolderContents,
  type FolderDamage,
  type FolderRepair,
  repairFolder,
  type StorageContents,
} from './file/check-folder.js';
export { folderOfUrl } from './file/folder-url.js';
export type { DamagePlace } from './file/damage.js';
export { PortableFolder, type PortableFolderOptions } from './file/portable-folder.js';
export { genAiCallAttributes, type GenAiCall } from './tracing/gen-ai-attributes.js';
export {
  activeTraceparent,
  type Attributes,
  inSpan,
  inThisSpan,
  isTracing,
  type SpanSpec,
  startSpan,
  type TraceSpan,
} from './tracing/spans.js';

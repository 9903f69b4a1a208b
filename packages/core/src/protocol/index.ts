export {
  type DeadLetterFilter,
  deadLetterFilterSchema,
  errorCodeSchema,
  idPrefixSchema,
  sinceSchema,
  MAX_RATE,
  MAX_RUNNING,
  MAX_WEIGHT,
  type CacheInvalidation,
  cacheInvalidationSchema,
  type TenantPatch,
  tenantPatchSchema,
} from './admin.js';
export { listSchema } from './list.js';
export { describe, validate } from './validation.js';
export {
  JsonRefusedError,
  MAX_JSON_DEPTH,
  MAX_RESULT_BYTES,
  jsonObjectSchema,
  optionalJsonSchema,
  jsonValueSchema,
  parseJson,
} from './json.js';
export {
  idSchema,
  jobIdSchema,
  nameSchema,
  newToken,
  taskTypeSchema,
  userIdSchema,
  uuidSchema,
} from './ids.js';
export { acceptedSchema, answeredSchema, serviceCallSchema } from './service-call.js';
export { readUsage } from './usage.js';
export { cutPosition, cutText, cutToBytes } from './text.js';
export { readRetryAfter } from './retry-after.js';
export {
  ACK_OUTCOMES,
  type Ack,
  type AckOutcome,
  type GatewayOutcome,
  type HubFrame,
  type Notification,
  type ServiceHello,
  type TaskCancel,
  type TaskNotification,
  ackSchema,
  notificationSchema,
  serviceHelloSchema,
  taskCancelSchema,
} from './service-socket.js';
export { fullJitter } from './full-jitter.js';
export { type JsonRule, boundedJson, copyJson } from './bounded-json.js';
export { addFromText, copyField, fieldText, writeJson } from './known-text.js';
export { PORTION as JSON_PORTION, parseJsonInPortions } from './portioned-json.js';
export { type StepFailure, diagnose, messageOf, toTaskError } from './thrown.js';
export {
  TASK_STATES,
  TRANSITIONS,
  type TaskState,
  type TaskVerb,
  type Transition,
  isFinalState,
  isLegal,
  statusOf,
} from './task-state.js';
export {
  ON_BUSY,
  TASK_STATUSES,
  batchSubmissionSchema,
  cancelBodySchema,
  chatRequestSchema,
  prioritySchema,
  signalBodySchema,
  taskSubmissionSchema,
} from './task.js';
export { isScope, type Scope, SCOPES } from './scopes.js';
export { MESSAGE_ROLES, sessionCreationSchema, sessionPatchSchema } from './session.js';
export {
  type Cursor,
  EVENT_NAMES,
  FINAL_EVENTS,
  clientFrameSchema,
  clientHelloSchema,
  cursorSchema,
  formatCursor,
  parseCursor,
  topicSchema,
} from './events.js';
export { planSchema, planStepSchema } from './plan.js';
export {
  EVENTS_PER_READ,
  messagesQuery,
  PAGE_SIZES,
  pageLimit,
  pageQuery,
  type PageOptions,
  type PageSize,
} from './pages.js';
export { DEFAULTS } from './settings.js';
export { TASK_TEXTS, taskText } from './task-texts.js';
export { ERROR_CODES } from './errors.js';
export type { OrchestratorErrorOptions } from './errors.js';
export { isErrorCode } from './errors.js';
export type { JsonInput } from './json.js';
export { ServiceReply } from './service-call.js';
export type { BatchItem } from './task.js';
export { FINAL_STATUSES } from './task.js';
export type { MessageRole } from './session.js';
export type { EventData } from './events.js';
export type { EventName } from './events.js';
export type { Snapshot } from './events.js';
export type { Topic } from './events.js';
export type { PlanStep } from './plan.js';
export { USAGE_DIMENSIONS, type UsageDimension } from './usage-dimensions.js';

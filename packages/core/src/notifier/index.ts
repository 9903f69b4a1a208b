/** The part of core for services in other processes: nothing here loads the orchestrator. */
export { InProcessTransport, type InProcessHub } from './in-process-transport.js';
export type { NotifierEvents, NotifierListener } from './notifier-events.js';
export { type Clock, systemClock } from '../runtime/clock.js';
export { fullJitter } from '../protocol/full-jitter.js';
export { type AboutTask, TaskNotifier, type TaskNotifierOptions } from './task-notifier.js';
export type {
  LinkConnected,
  LinkDisconnected,
  LinkRefused,
  LinkState,
  NotifierTransport,
  OutgoingNotification,
  TransportOwner,
} from './transport.js';
export { type ErrorCode, isErrorCode, OrchestratorError } from '../protocol/errors.js';
export {
  type JsonObject,
  JsonRefusedError,
  type JsonValue,
  MAX_RESULT_BYTES,
  parseJson,
} from '../protocol/json.js';
export {
  type Ack,
  type AckOutcome,
  ackSchema,
  type GatewayOutcome,
  type HubFrame,
  taskCancelSchema,
  taskCompletedSchema,
  taskFailedSchema,
  type TaskCancel,
} from '../protocol/service-socket.js';
export { readRetryAfter } from '../protocol/retry-after.js';
export { validate } from '../protocol/validation.js';

export {
  type AboutTask,
  type Ack,
  type AckOutcome,
  type ErrorCode,
  type GatewayOutcome,
  type HubFrame,
  type JsonObject,
  type JsonValue,
  type LinkConnected,
  type LinkDisconnected,
  type LinkRefused,
  type LinkState,
  type NotifierEvents,
  type NotifierListener,
  type NotifierTransport,
  OrchestratorError,
  type OutgoingNotification,
  type TaskCancel,
  TaskNotifier,
  type TaskNotifierOptions,
  type TransportOwner,
} from '@agent-orchestrator/core/notifier';
export { HttpTransport, type HttpTransportOptions } from './http-transport.js';
export type { HubAddressOptions } from './transport-options.js';
export { WebSocketTransport, type WebSocketTransportOptions } from './websocket-transport.js';

import type { Ack, GatewayOutcome, TaskCancel } from '../protocol/service-socket.js';
import { Listeners, warnOfListener } from '../runtime/listeners.js';
import type { LinkConnected, LinkDisconnected, LinkRefused, OutgoingNotification } from './transport.js';

/** Events of a notifier, with their payloads. */
export interface NotifierEvents {
  /** A call was cancelled: its work may stop. */
  task_cancel: TaskCancel;
  /** Outcome of a call that this service requested through the gateway. */
  outcome: GatewayOutcome;
  /** The hub accepted the connection; also after each reconnect. */
  connected: LinkConnected;
  /** The hub is unreachable. */
  disconnected: LinkDisconnected;
  /** The hub rejects the token: the configuration needs a fix. */
  refused: LinkRefused;
  /** The hub rejected a notification as `invalid`, `forbidden` or `unknown_task`. Log it. */
  not_taken: { readonly ack: Ack; readonly notification: OutgoingNotification };
}

/** Listener on an event of a notifier. */
export type NotifierListener<E extends keyof NotifierEvents> = (event: NotifierEvents[E]) => unknown;

/** Listeners whose errors become warnings of the process. */
export function newListeners(): Listeners<NotifierEvents> {
  return new Listeners(warnOfListener('TaskNotifierWarning'));
}

import { EventEmitter } from 'eventemitter3';
import type { Ack, GatewayOutcome, TaskCancel } from '../protocol/service-socket.js';
import { diagnose } from '../protocol/thrown.js';
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

export type NotifierListener<E extends keyof NotifierEvents> = (event: NotifierEvents[E]) => unknown;

type Signatures = { [E in keyof NotifierEvents]: [NotifierEvents[E]] };

/** Listeners of a notifier. Errors and rejections of a listener become process warnings and affect no other listener. */
export class ListenerSet {
  readonly #emitter = new EventEmitter<Signatures>();

  on<E extends keyof NotifierEvents>(event: E, listener: NotifierListener<E>): void {
    this.#emitter.on(event, listener as (...args: unknown[]) => void);
  }

  off<E extends keyof NotifierEvents>(event: E, listener: NotifierListener<E>): void {
    this.#emitter.off(event, listener as (...args: unknown[]) => void);
  }

  emit<E extends keyof NotifierEvents>(event: E, payload: NotifierEvents[E]): void {
    for (const listener of this.#emitter.listeners(event))
      void call(event, listener as NotifierListener<E>, payload);
  }
}

async function call<E extends keyof NotifierEvents>(
  event: E,
  listener: NotifierListener<E>,
  payload: NotifierEvents[E],
): Promise<void> {
  try {
    await listener(payload);
  } catch (error) {
    const { message, stack: detail = message } = diagnose(error);
    process.emitWarning(`a listener of "${event}" failed`, { type: 'TaskNotifierWarning', detail });
  }
}

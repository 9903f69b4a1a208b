import { EventEmitter } from 'eventemitter3';
import type { Ack, GatewayOutcome, TaskCancel } from '../protocol/service-socket.js';
import { diagnose } from '../protocol/thrown.js';
import type { LinkConnected, LinkDisconnected, LinkRefused, OutgoingNotification } from './transport.js';

/** What a notifier tells, by event. */
export interface NotifierEvents {
  /** Nobody waits for this work any more. */
  task_cancel: TaskCancel;
  /** The outcome of a call that this service asked for at the gateway. */
  outcome: GatewayOutcome;
  /** The hub has let the service in; also after each reconnect. */
  connected: LinkConnected;
  /** The hub can't be reached. */
  disconnected: LinkDisconnected;
  /** The hub does not take the token: somebody has to look at the configuration. */
  refused: LinkRefused;
  /** The hub could do nothing with a notification: `invalid`, `forbidden` or `unknown_task`. Worth a line in a log. */
  not_taken: { readonly ack: Ack; readonly notification: OutgoingNotification };
}

export type NotifierListener<E extends keyof NotifierEvents> = (event: NotifierEvents[E]) => unknown;

type Signatures = { [E in keyof NotifierEvents]: [NotifierEvents[E]] };

/** The listeners of a notifier. One that throws, or whose promise rejects, is warned about, and disturbs nobody else. */
export class ListenerSet {
  readonly #emitter = new EventEmitter<Signatures>();

  on<E extends keyof NotifierEvents>(event: E, listener: NotifierListener<E>): void {
    this.#emitter.on(event, listener as (...args: unknown[]) => void);
  }

  off<E extends keyof NotifierEvents>(event: E, listener: NotifierListener<E>): void {
    this.#emitter.off(event, listener as (...args: unknown[]) => void);
  }

  tell<E extends keyof NotifierEvents>(event: E, what: NotifierEvents[E]): void {
    for (const listener of this.#emitter.listeners(event))
      void call(event, listener as NotifierListener<E>, what);
  }
}

async function call<E extends keyof NotifierEvents>(
  event: E,
  listener: NotifierListener<E>,
  what: NotifierEvents[E],
): Promise<void> {
  try {
    await listener(what);
  } catch (error) {
    const { message, stack: detail = message } = diagnose(error);
    process.emitWarning(`a listener of "${event}" failed`, { type: 'TaskNotifierWarning', detail });
  }
}

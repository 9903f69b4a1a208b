import type { OrchestratorError } from '../protocol/errors.js';
import type { Ack, HubFrame } from '../protocol/service-socket.js';

/** A notification on its way: the frame as it crosses the wire, and the id that its ack will name. */
export interface OutgoingNotification {
  readonly message_id: string;
  /** The frame, as JSON. */
  readonly text: string;
}

/** The hub can be reached. `connectionId` is what the gateway knows as `reply_to`, where there is a connection. */
export interface LinkConnected {
  readonly state: 'connected';
  readonly connectionId?: string;
}

/** The hub can't be reached; the transport tries again by itself, after `retryInMs` where it knows. */
export interface LinkDisconnected {
  readonly state: 'disconnected';
  readonly reason: string;
  readonly retryInMs?: number;
}

/** The hub does not take this service's token: `unauthorized` or `forbidden`. It is asked again, but slowly. */
export interface LinkRefused {
  readonly state: 'refused';
  readonly error: OrchestratorError;
  readonly retryInMs: number;
}

export type LinkState = LinkConnected | LinkDisconnected | LinkRefused;

/** Whom a transport works for. */
export interface TransportOwner {
  readonly serviceName: string;
  /** What the hub says without being asked. */
  heard(frame: HubFrame): void;
  /** Nothing new is sent before the first `connected`, nor while the state is another. */
  linked(state: LinkState): void;
}

/** How notifications reach the hub: in this process, over a socket, or over HTTP. It belongs to one notifier. */
export interface NotifierTransport {
  /**
   * Whether the hub gets notifications in the order in which they were handed to `send`. If not, only one of a job is
   * under way at a time.
   */
  readonly inOrder: boolean;
  /** Called once, by the notifier, before anything is sent. */
  open(owner: TransportOwner): void;
  /**
   * Sends one and resolves with the hub's ack. It rejects when none came in time, and is then called again, after
   * `retryAfterMs` of the error if it has one; or, with an `OrchestratorError` that is not retryable, when the hub will
   * never take it.
   */
  send(notification: OutgoingNotification): Promise<Ack>;
  /** Ends it; what is under way is rejected. */
  close(): Promise<void>;
}

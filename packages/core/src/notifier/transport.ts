import type { OrchestratorError } from '../protocol/errors.js';
import type { Ack, HubFrame } from '../protocol/service-socket.js';

/** A notification to send: the frame in its wire format, and the id that its ack refers to. */
export interface OutgoingNotification {
  readonly message_id: string;
  /** The frame as JSON. */
  readonly text: string;
}

/** The hub is reachable. `connectionId`, with connection-based transports, is the gateway's `reply_to`. */
export interface LinkConnected {
  readonly state: 'connected';
  readonly connectionId?: string;
}

/** The hub is unreachable; the transport retries by itself, after `retryInMs` if known. */
export interface LinkDisconnected {
  readonly state: 'disconnected';
  readonly reason: string;
  readonly retryInMs?: number;
}

/** The hub rejects this service's token: `unauthorized` or `forbidden`. The transport retries slowly. */
export interface LinkRefused {
  readonly state: 'refused';
  readonly error: OrchestratorError;
  readonly retryInMs: number;
}

/** State of the link between a notifier and the hub. */
export type LinkState = LinkConnected | LinkDisconnected | LinkRefused;

/** Callbacks of a transport to its notifier. */
export interface TransportOwner {
  readonly serviceName: string;
  /** The hub pushed a frame. */
  onFrame(frame: HubFrame): void;
  /** The link state changed. The notifier starts new sends only while `connected`. */
  onLink(state: LinkState): void;
}

/** Transport of notifications to the hub: in process, WebSocket or HTTP. Owned by one notifier. */
export interface NotifierTransport {
  /** Whether the hub receives notifications in the order of `send`. If not, one per job is in flight at a time. */
  readonly inOrder: boolean;
  /** Called once, by the notifier, before the first `send`. */
  open(owner: TransportOwner): void;
  /**
   * Sends a notification and resolves with the hub's ack. Rejects if none is received in time: the notifier then resends, after the
   * error's `retryAfterMs` if set. Rejects with a non-retryable `OrchestratorError` if the hub will never accept it.
   */
  send(notification: OutgoingNotification): Promise<Ack>;
  /** Closes the transport; pending sends reject. */
  close(): Promise<void>;
}

import type { Ack, HubFrame, TaskNotification } from '../protocol/service-socket.js';

/** A notification on its way, with the id that its ack will name. */
export type OutgoingNotification = TaskNotification & { readonly message_id: string };

/** How notifications reach the hub: in this process, or over a socket. */
export interface NotifierTransport {
  /** Sends one; resolves with the hub's ack, rejects when the link broke before it came (it is then sent again). */
  send(notification: OutgoingNotification, options: { readonly signal: AbortSignal }): Promise<Ack>;
  /** What the hub says without being asked. Returns how to stop listening. */
  onFrame(listener: (frame: HubFrame) => void): () => void;
  close(): Promise<void>;
}

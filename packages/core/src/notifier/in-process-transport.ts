import type { JsonValue } from '../protocol/json.js';
import type { Ack, HubFrame } from '../protocol/service-socket.js';
import type { NotifierTransport, OutgoingNotification } from './transport.js';

/** The hub as a service in the same process sees it. `Orchestrator.hub(service)` makes one. */
export interface InProcessHub {
  receive(
    frame: JsonValue,
    options: { readonly signal: AbortSignal },
  ): Promise<Omit<Ack, 'event' | 'message_id'>>;
  onFrame(listener: (frame: HubFrame) => void): () => void;
}

/** Carries notifications to an orchestrator in the same process, in the form they have on the wire. */
export class InProcessTransport implements NotifierTransport {
  constructor(private readonly hub: InProcessHub) {}

  async send(notification: OutgoingNotification, options: { readonly signal: AbortSignal }): Promise<Ack> {
    const frame = JSON.parse(JSON.stringify(notification)) as JsonValue;
    const result = await this.hub.receive(frame, options);
    return { event: 'ack', message_id: notification.message_id, ...result };
  }

  onFrame(listener: (frame: HubFrame) => void): () => void {
    return this.hub.onFrame(listener);
  }

  async close(): Promise<void> {
    // The hub belongs to the orchestrator, which ends it.
  }
}

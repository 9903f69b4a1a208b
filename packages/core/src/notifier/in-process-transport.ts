import { setMaxListeners } from 'node:events';
import type { JsonValue } from '../protocol/json.js';
import type { Ack, HubFrame } from '../protocol/service-socket.js';
import type { NotifierTransport, OutgoingNotification, TransportOwner } from './transport.js';

/** The hub for an in-process service. Created by `Orchestrator.hub(service)`. */
export interface InProcessHub {
  receive(
    frame: JsonValue,
    options: { readonly signal: AbortSignal },
  ): Promise<Omit<Ack, 'event' | 'message_id'>>;
  onFrame(listener: (frame: HubFrame) => void): () => void;
}

/** Transport to an orchestrator in the same process; uses the wire format. */
export class InProcessTransport implements NotifierTransport {
  readonly inOrder = true;
  readonly #closing = new AbortController();
  #stopListening: () => void = () => {};

  constructor(private readonly hub: InProcessHub) {
    // Every notification in flight listens to it.
    setMaxListeners(0, this.#closing.signal);
  }

  open(owner: TransportOwner): void {
    this.#stopListening = this.hub.onFrame((frame) => owner.onFrame(frame));
    owner.onLink({ state: 'connected' });
  }

  async send({ message_id, text }: OutgoingNotification): Promise<Ack> {
    const frame = JSON.parse(text) as JsonValue;
    const result = await this.hub.receive(frame, { signal: this.#closing.signal });
    return { event: 'ack', message_id, ...result };
  }

  async close(): Promise<void> {
    this.#stopListening();
    this.#closing.abort();
  }
}

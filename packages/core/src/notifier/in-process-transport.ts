import { setMaxListeners } from 'node:events';
import type { JsonValue } from '../protocol/json.js';
import type { Ack, HubFrame } from '../protocol/service-socket.js';
import type { NotifierTransport, OutgoingNotification, TransportOwner } from './transport.js';

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
  readonly inOrder = true;
  readonly #closing = new AbortController();
  #stopListening: () => void = () => {};

  constructor(private readonly hub: InProcessHub) {
    // Every notification that is under way waits on it.
    setMaxListeners(0, this.#closing.signal);
  }

  open(owner: TransportOwner): void {
    this.#stopListening = this.hub.onFrame((frame) => owner.heard(frame));
    owner.linked({ state: 'connected' });
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

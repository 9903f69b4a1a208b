import {
  type Ack,
  type Clock,
  type NotifierTransport,
  OrchestratorError,
  type OutgoingNotification,
  systemClock,
  type TransportOwner,
  validate,
} from '@agent-orchestrator/core/notifier';
import { z } from 'zod';
import { HubConnection } from './hub-connection.js';
import { type ConnectionEnd, reconnectPlan } from './reconnect-plan.js';
import { type HubAddressOptions, readHub, timeMs } from './transport-options.js';

/** Options of `WebSocketTransport`. */
export interface WebSocketTransportOptions extends HubAddressOptions {
  /** From dialling to admission, ms. Default: 10,000. */
  readonly helloMs?: number | undefined;
  /** Idle time before a ping, ms. Default: 15,000. */
  readonly pingMs?: number | undefined;
  /** Time limit of a pong before the link counts as dead, ms. Default: 15,000. */
  readonly pongMs?: number | undefined;
  /**
   * Time limit of an ack before the notification is resent, ms. Default: 75,000: the hub itself may wait for
   * 60 s, when a notification is ahead of the service's own 202.
   */
  readonly ackMs?: number | undefined;
  /** Base and cap of the reconnect back-off with full jitter, ms. Default: 500 and 30,000. */
  readonly reconnectBaseMs?: number | undefined;
  readonly reconnectCapMs?: number | undefined;
  /** Retry delay after a refused token: half of this to all of it, ms. Default: 60,000. */
  readonly refusedRetryMs?: number | undefined;
}

const optionsSchema = z.object({
  helloMs: timeMs.default(10_000),
  pingMs: timeMs.default(15_000),
  pongMs: timeMs.default(15_000),
  ackMs: timeMs.default(75_000),
  reconnectBaseMs: timeMs.default(500),
  reconnectCapMs: timeMs.default(30_000),
  refusedRetryMs: timeMs.default(60_000),
});

interface Unacked {
  readonly text: string;
  readonly resolve: (ack: Ack) => void;
  readonly reject: (error: OrchestratorError) => void;
  /** Set while it is in flight on a link. */
  stopDeadline?: (() => void) | undefined;
}

interface Admission {
  readonly connection: HubConnection;
  readonly maxPayload: number;
}

/**
 * Carries notifications over one WebSocket to `/ws/task_updates`. States: connecting, admitted, waiting to
 * reconnect; until `close`. Notifications without an ack at the end of a link are resent over the next one,
 * first and in order.
 */
export class WebSocketTransport implements NotifierTransport {
  readonly inOrder = true;
  readonly #settings: z.output<typeof optionsSchema>;
  readonly #hub: { readonly url: string; readonly token: string };
  readonly #clock: Clock;
  readonly #unacked = new Map<string, Unacked>();
  #owner: TransportOwner | undefined;
  #connection: HubConnection | undefined;
  #admission: Admission | undefined;
  #stopReconnect: (() => void) | undefined;
  /** Failed links in a row. */
  #failures = 0;
  #closed = false;

  /** @throws {OrchestratorError} `invalid_request` for an invalid or missing option. */
  constructor(options: WebSocketTransportOptions = {}) {
    this.#settings = validate(optionsSchema, options, 'the options of WebSocketTransport');
    this.#clock = options.clock ?? systemClock;
    this.#hub = readHub(options, { scheme: 'ws', path: '/ws/task_updates' });
  }

  open(owner: TransportOwner): void {
    if (this.#owner) {
      throw new OrchestratorError('invalid_request', 'transport: expected one of its own, got one in use');
    }
    this.#owner = owner;
    this.#connect(owner);
  }

  send({ message_id: id, text }: OutgoingNotification): Promise<Ack> {
    return new Promise((resolve, reject) => {
      if (this.#closed) {
        reject(closedError());
        return;
      }
      const unacked: Unacked = { text, resolve, reject };
      this.#unacked.set(id, unacked);
      if (this.#admission) this.#transmit(id, unacked, this.#admission);
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#stopReconnect?.();
    for (const { stopDeadline, reject } of this.#unacked.values()) {
      stopDeadline?.();
      reject(closedError());
    }
    this.#unacked.clear();
    await this.#connection?.close();
  }

  #connect(owner: TransportOwner): void {
    const { helloMs, pingMs, pongMs } = this.#settings;
    const options = {
      ...this.#hub,
      clock: this.#clock,
      serviceName: owner.serviceName,
      helloMs,
      pingMs,
      pongMs,
    };
    const connection = new HubConnection(options, {
      admitted: (connectionId, maxPayload) => {
        this.#admission = { connection, maxPayload };
        for (const [id, unacked] of this.#unacked) this.#transmit(id, unacked, this.#admission);
        owner.onLink({ state: 'connected', connectionId });
      },
      heard: (word) => {
        if (word.kind === 'ack') this.#acknowledged(word.ack);
        else owner.onFrame(word.frame);
      },
      alive: () => (this.#failures = 0),
      ended: (end) => this.#lost(end, owner),
    });
    this.#connection = connection;
  }

  #transmit(id: string, unacked: Unacked, { connection, maxPayload }: Admission): void {
    const bytes = Buffer.byteLength(unacked.text);
    if (bytes > maxPayload) {
      this.#unacked.delete(id);
      const message = `expected at most the hub's ${maxPayload} bytes, got ${bytes}`;
      unacked.reject(new OrchestratorError('payload_too_large', message));
      return;
    }
    const { ackMs } = this.#settings;
    unacked.stopDeadline = this.#clock.after(ackMs, () => {
      this.#unacked.delete(id);
      unacked.reject(new OrchestratorError('timeout', `no ack in ${ackMs} ms`));
    });
    connection.send(unacked.text);
  }

  #acknowledged(ack: Ack): void {
    const unacked = this.#unacked.get(ack.message_id);
    if (!unacked) return;
    unacked.stopDeadline?.();
    this.#unacked.delete(ack.message_id);
    unacked.resolve(ack);
  }

  #lost(end: ConnectionEnd, owner: TransportOwner): void {
    this.#connection = undefined;
    this.#admission = undefined;
    if (this.#closed) return;
    for (const { stopDeadline } of this.#unacked.values()) stopDeadline?.();
    this.#failures += 1;
    const plan = reconnectPlan(end, this.#failures, this.#settings);
    this.#stopReconnect = this.#clock.after(plan.retryInMs, () => this.#connect(owner));
    owner.onLink(plan);
  }
}

function closedError(): OrchestratorError {
  return new OrchestratorError('not_running', 'the transport is closed');
}

import type { IncomingMessage } from 'node:http';
import { type JsonValue, type Orchestrator, OrchestratorError, type Logger } from '@agent-orchestrator/core';
import {
  clientFrameSchema,
  clientHelloSchema,
  formatCursor,
  newToken,
  validate,
} from '@agent-orchestrator/core/protocol';
import type { WebSocket } from 'ws';
import { refuseOtherTopic, type ShownCredential, type Tickets, type TicketTopic } from '../auth/tickets.js';
import { bearerToken, isOfTicket, shownCredential } from '../auth/credentials.js';
import type { Authenticator } from '../auth/authenticator.js';
import type { ClientIdentity } from '../auth/identities.js';
import type { SocketTraffic } from '../metrics/socket-traffic.js';
import type { Seat } from '../sockets/admission.js';
import { MinuteBudget, Pace } from '../sockets/budgets.js';
import { CLOSE } from '../sockets/close-codes.js';
import { closeFor } from '../auth/close-for.js';
import { CredentialCheck } from '../auth/credential-check.js';
import { errorFrame } from '../sockets/error-frame.js';
import { FrameSocket, type FrameHandler } from '../sockets/frame-socket.js';
import type { EventFrame } from '../events/event-frame.js';
import type { FeedDirectory } from './feed-directory.js';
import { JSON_FRAMES, OUTBOUND_LIMITS, OutboundQueue } from './outbound-queue.js';
import { Subscription, type SubscriptionSink } from './subscription.js';
import type { TenantFeed } from './tenant-feed.js';

export interface ClientConnectionParts {
  readonly orchestrator: Orchestrator;
  readonly authenticator: Authenticator;
  readonly tickets: Tickets;
  readonly feeds: FeedDirectory;
  readonly traffic: SocketTraffic;
  readonly logger: Logger;
  readonly heartbeatMs: number;
  readonly helloMs: number;
}

const PACE = {
  framesPerSecond: 10,
  framesBurst: 100,
  bytesPerSecond: 64 * 1024,
  bytesBurst: 512 * 1024,
};
const BAD_FRAMES_A_MINUTE = 10;
const MAX_SUBSCRIPTIONS = 100;
/** Time for a slow reader to take the bytes in flight and the close frame, ms. */
const SLOW_CLOSING_MS = 10_000;

interface Admitted {
  caller: ClientIdentity;
  /** Limit of the ticket: no other topic may be followed. */
  readonly only?: TicketTopic;
  readonly check: CredentialCheck;
  readonly feed: TenantFeed;
  readonly release: () => void;
}

/**
 * A client's connection to `/ws/client`: its identity (header, ticket or first frame), its subscriptions, and
 * the outbound queue. An event is sent once for a connection, however many of its subscriptions it matches.
 */
export class ClientConnection implements FrameHandler, SubscriptionSink {
  readonly #id = newToken();
  readonly #parts: ClientConnectionParts;
  readonly #socket: FrameSocket;
  readonly #seat: Seat;
  readonly #queue: OutboundQueue;
  readonly #subscriptions = new Map<string, Subscription>();
  readonly #bad = new MinuteBudget(BAD_FRAMES_A_MINUTE);
  #early: JsonValue[] = [];
  #checking = false;
  #admitted: Admitted | undefined;

  constructor(parts: ClientConnectionParts, socket: WebSocket, request: IncomingMessage, seat: Seat) {
    this.#parts = parts;
    this.#seat = seat;
    const reading = { pace: new Pace(PACE), beyond: 'close' } as const;
    this.#socket = new FrameSocket(socket, request.socket, this, { ...parts, reading });
    this.#queue = new OutboundQueue(this.#socket, OUTBOUND_LIMITS, JSON_FRAMES, () => {
      this.#socket.close(CLOSE.tooSlow, 'too slow: resume with your last cursor', SLOW_CLOSING_MS);
    });
    const { authorization } = request.headers;
    const ticket = new URL(request.url ?? '/', 'http://localhost').searchParams.get('ticket');
    if (bearerToken(authorization) !== undefined || ticket !== null)
      void this.#enter(shownCredential(parts.tickets, authorization, ticket));
  }

  /** Client frames are small. */
  readonly share = '';

  frame(frame: JsonValue): void {
    this.#parts.traffic.frames.client += 1;
    if (this.#admitted) {
      this.#act(this.#admitted, frame);
    } else if (this.#checking) {
      this.#early.push(frame);
    } else {
      const hello = clientHelloSchema.safeParse(frame);
      void this.#enter(hello.success ? { token: hello.data.token } : undefined);
    }
  }

  unreadable(reason: string): void {
    this.#parts.traffic.frames.client += 1;
    if (this.#admitted) this.#refuse(new OrchestratorError('invalid_message', reason));
    else this.#turnAway(reason);
  }

  noHello(reason: string): void {
    this.#turnAway(reason);
  }

  beat(): void {
    this.#admitted?.check.beat();
    const cursor = this.#heartbeatCursor();
    if (cursor !== undefined) this.#queue.control({ event: 'heartbeat', cursor });
  }

  closed(): void {
    this.#queue.end();
    for (const subscription of this.#subscriptions.values()) subscription.end();
    this.#subscriptions.clear();
    this.#admitted?.release();
  }

  /** Server shutdown: the client should reconnect after `retryAfterMs`. */
  shutDown(retryAfterMs: number): void {
    this.#socket.close(CLOSE.shuttingDown, JSON.stringify({ retry_after_ms: retryAfterMs }));
  }

  control(frame: object): void {
    this.#queue.control(frame);
  }

  event(frame: EventFrame, from: Subscription): void {
    for (const other of this.#subscriptions.values()) {
      if (other !== from && other.covers(frame)) return;
    }
    this.#parts.traffic.eventsSent += 1;
    this.#queue.event(frame);
  }

  room(): Promise<void> {
    return this.#queue.room();
  }

  failed(subscription: Subscription, error: unknown): void {
    subscription.end();
    this.#subscriptions.delete(subscription.id);
    this.#queue.control(errorFrame(error, subscription.id));
  }

  async #enter(shown: Promise<ShownCredential | undefined> | ShownCredential | undefined): Promise<void> {
    this.#checking = true;
    this.#socket.greeted();
    const unknown = 'expected an API key or a ticket that is known';
    try {
      const credential = await shown;
      if (credential === undefined) {
        this.#turnAway(unknown);
        return;
      }
      const ids = { connection_id: this.#id };
      const result = await this.#parts.authenticator.authenticate(credential.token, ids, unknown);
      if (result.answer !== 'identified') this.#socket.close(closeFor(result), result.error.message);
      else if (!isOfTicket(credential, result.identity)) this.#turnAway(unknown);
      else if (result.identity.kind === 'client') this.#admit(result.identity, credential);
      else this.#socket.close(CLOSE.forbidden, 'expected an API key, got another kind of credential');
    } catch (error) {
      const isRefused = error instanceof OrchestratorError && error.code === 'unauthorized';
      if (isRefused) this.#turnAway(error.message);
      else this.#socket.close(CLOSE.overloaded, 'the ticket could not be checked: come back later');
    }
  }

  #admit(caller: ClientIdentity, { token, ticket }: ShownCredential): void {
    if (!this.#socket.isOpen) return;
    if (!this.#seat.assign({ tenant: caller.tenant })) {
      this.#socket.close(CLOSE.overloaded, 'the tenant has as many connections as it may');
      return;
    }
    const check = new CredentialCheck({
      authenticator: this.#parts.authenticator,
      token,
      ids: { connection_id: this.#id, tenant_id: caller.tenant },
      accept: (identity) => {
        if (identity.kind !== 'client' || identity.tenant !== caller.tenant) return false;
        if (this.#admitted) this.#admitted.caller = identity;
        return true;
      },
      close: (code, reason) => this.#socket.close(code, reason),
    });
    const only = ticket?.topic && { only: ticket.topic };
    this.#admitted = { caller, check, ...only, ...this.#parts.feeds.acquire(caller.tenant) };
    this.#socket.admit();
    for (const frame of this.#early.splice(0)) this.#act(this.#admitted, frame);
  }

  #act({ caller, feed, only }: Admitted, frame: JsonValue): void {
    try {
      const request = validate(clientFrameSchema, frame, 'the frame', 'invalid_message');
      if (request.action === 'unsubscribe') {
        this.#subscriptions.get(request.id)?.end();
        this.#subscriptions.delete(request.id);
        return;
      }
      const { id, topic, after } = request;
      refuseOtherTopic(only, topic);
      this.#refuseSubscription(id);
      const tenant = this.#parts.orchestrator.tenant(caller.tenant);
      const subscription = new Subscription({ id, topic, tenant, feed, sink: this });
      this.#subscriptions.set(id, subscription);
      void subscription.start(after);
    } catch (error) {
      this.#refuse(error, subscriptionIdOf(frame));
    }
  }

  #refuseSubscription(id: string): void {
    if (this.#subscriptions.has(id)) {
      throw new OrchestratorError('invalid_message', 'a subscription with this id already exists');
    }
    if (this.#subscriptions.size < MAX_SUBSCRIPTIONS) return;
    throw new OrchestratorError(
      'rate_limited',
      `expected at most ${MAX_SUBSCRIPTIONS} subscriptions of a connection`,
    );
  }

  #refuse(error: unknown, id?: string): void {
    this.#queue.control(errorFrame(error, id));
    if (this.#bad.spend()) this.#socket.close(CLOSE.badFrames, 'too many frames that are not valid');
  }

  #turnAway(reason: string): void {
    this.#checking = true;
    this.#socket.close(CLOSE.unauthorized, reason);
  }

  /** Cursor up to which all subscriptions are complete: that of the slowest. */
  #heartbeatCursor(): string | undefined {
    const positions = [...this.#subscriptions.values()].map((subscription) => subscription.position);
    if (positions.some((position) => position === undefined)) return undefined;
    let least = positions[0] ?? this.#admitted?.feed.position;
    for (const position of positions) {
      if (position && least && position.epoch === least.epoch && position.seq < least.seq) least = position;
    }
    return least && formatCursor(least);
  }
}

function subscriptionIdOf(frame: JsonValue): string | undefined {
  if (typeof frame !== 'object' || frame === null || Array.isArray(frame)) return undefined;
  const id = frame['id'];
  return typeof id === 'string' && id.length <= 64 ? id : undefined;
}

import {
  type Clock,
  type JsonValue,
  type Orchestrator,
  OrchestratorError,
  type TenantHandle,
} from '@agent-orchestrator/core';
import {
  clientFrameSchema,
  clientHelloSchema,
  formatCursor,
  validate,
} from '@agent-orchestrator/core/protocol';
import type {
  AuthenticatedSocket,
  AuthenticatedSocketParts,
  Connection,
  Greeting,
  Peer,
  SocketRole,
} from '../auth/authenticated-socket.js';
import { bearerToken, shownCredential } from '../auth/credentials.js';
import { hasScope, refuseWithoutScope, withoutScope } from '../auth/scopes.js';
import { refuseOtherTopic, scopesOf, type Tickets, type TicketTopic } from '../auth/tickets.js';
import type { EventFrame } from '../events/event-frame.js';
import type { SocketTraffic } from '../metrics/socket-traffic.js';
import { MinuteBudget, Pace } from '../sockets/budgets.js';
import { CLOSE } from '../sockets/close-codes.js';
import { errorFrame } from '../sockets/error-frame.js';
import type { FeedDirectory } from './feed-directory.js';
import { JSON_FRAMES, OUTBOUND_LIMITS, OutboundQueue } from './outbound-queue.js';
import { Subscription, type SubscriptionSink } from './subscription.js';
import type { TenantFeed } from './tenant-feed.js';

export interface ClientConnectionParts extends AuthenticatedSocketParts {
  readonly orchestrator: Orchestrator;
  readonly tickets: Tickets;
  readonly feeds: FeedDirectory;
  readonly traffic: SocketTraffic;
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

const UNKNOWN = 'expected an API key or a ticket that is known';

/** Sockets of clients, at `/ws/client`: with an API key in the header or the first frame, or with a ticket. */
export function clientRole(parts: ClientConnectionParts): SocketRole<'client'> {
  return {
    kind: 'client',
    reading: () => ({ pace: new Pace(PACE, parts.clock), beyond: 'close' }),
    unknown: UNKNOWN,
    otherKind: { code: CLOSE.forbidden, reason: 'expected an API key, got another kind of credential' },
    greeting({ url, headers }, login) {
      const { authorization } = headers;
      const ticket = new URL(url ?? '/', 'http://localhost').searchParams.get('ticket');
      const token = bearerToken(authorization);
      if (token === undefined && ticket === null) return undefined;
      // A ticket is spent here, which is its login; a token has its own.
      return asGreeting(
        login({ token: undefined, ticket: token === undefined ? ticket : null }, () =>
          shownCredential(parts.tickets, authorization, ticket),
        ),
      );
    },
    hello(frame) {
      const hello = clientHelloSchema.safeParse(frame);
      if (hello.success) return { credential: { token: hello.data.token } };
      throw new OrchestratorError('unauthorized', UNKNOWN);
    },
    connect: (socket, peer) => new ClientConnection(parts, socket, peer),
  };
}

/**
 * The connection of an authenticated client: its subscriptions and its outbound queue. An event is sent once for
 * a connection, however many of its subscriptions it matches.
 */
class ClientConnection implements Connection, SubscriptionSink {
  readonly #socket: AuthenticatedSocket<'client'>;
  readonly #peer: Peer<'client'>;
  readonly #traffic: SocketTraffic;
  readonly #tenant: TenantHandle;
  /** Limit of the ticket: no other topic may be followed. */
  readonly #only: TicketTopic | undefined;
  readonly #feed: TenantFeed;
  readonly #release: () => void;
  readonly #queue: OutboundQueue;
  readonly #subscriptions = new Map<string, Subscription>();
  readonly #bad: MinuteBudget;
  readonly #clock: Clock;

  constructor(
    { orchestrator, feeds, traffic, clock }: ClientConnectionParts,
    socket: AuthenticatedSocket<'client'>,
    peer: Peer<'client'>,
  ) {
    const { identity, credential } = peer;
    this.#socket = socket;
    this.#peer = peer;
    this.#traffic = traffic;
    this.#clock = clock;
    this.#bad = new MinuteBudget(BAD_FRAMES_A_MINUTE, clock);
    this.#tenant = orchestrator.tenant(identity.tenant);
    this.#only = credential.ticket?.topic;
    this.#queue = new OutboundQueue({ socket, clock, limits: OUTBOUND_LIMITS, format: JSON_FRAMES }, () => {
      socket.close(CLOSE.tooSlow, 'too slow: resume with your last cursor', SLOW_CLOSING_MS);
    });
    const { feed, release } = feeds.acquire(identity.tenant);
    this.#feed = feed;
    this.#release = release;
  }

  frame(frame: JsonValue): void {
    try {
      const request = validate(clientFrameSchema, frame, 'the frame', 'invalid_message');
      if (request.action === 'unsubscribe') {
        this.#subscriptions.get(request.id)?.end();
        this.#subscriptions.delete(request.id);
        return;
      }
      const { id, topic, after } = request;
      refuseOtherTopic(this.#only, topic);
      refuseWithoutScope(this.#peer.identity, scopesOf(topic));
      this.#refuseSubscription(id);
      const subscription = new Subscription({
        id,
        topic,
        tenant: this.#tenant,
        feed: this.#feed,
        clock: this.#clock,
        sink: this,
      });
      this.#subscriptions.set(id, subscription);
      void subscription.start(after);
    } catch (error) {
      this.#refuse(error, subscriptionIdOf(frame));
    }
  }

  refuse(error: OrchestratorError): void {
    this.#refuse(error);
  }

  beat(): void {
    const cursor = this.#heartbeatCursor();
    if (cursor !== undefined) this.#queue.control({ event: 'heartbeat', cursor });
  }

  rightsChanged(): void {
    for (const subscription of this.#subscriptions.values()) {
      const scopes = scopesOf(subscription.topic);
      if (!hasScope(this.#peer.identity, scopes)) this.failed(subscription, withoutScope(scopes));
    }
  }

  closed(): void {
    this.#queue.end();
    for (const subscription of this.#subscriptions.values()) subscription.end();
    this.#subscriptions.clear();
    this.#release();
  }

  control(frame: object): void {
    this.#queue.control(frame);
  }

  event(frame: EventFrame, from: Subscription): void {
    for (const other of this.#subscriptions.values()) {
      if (other !== from && other.covers(frame)) return;
    }
    this.#traffic.eventsSent += 1;
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

  /** Cursor up to which all subscriptions are complete: that of the slowest. */
  #heartbeatCursor(): string | undefined {
    const positions = [...this.#subscriptions.values()].map((subscription) => subscription.position);
    if (positions.some((position) => position === undefined)) return undefined;
    let least = positions[0] ?? this.#feed.position;
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

async function asGreeting(shown: ReturnType<typeof shownCredential>): Promise<Greeting> {
  const credential = await shown;
  if (credential) return { credential };
  throw new OrchestratorError('unauthorized', UNKNOWN);
}

import { type JsonValue, type Orchestrator, type OrchestratorError } from '@agent-orchestrator/core';
import { MAX_RESULT_BYTES, serviceHelloSchema, validate } from '@agent-orchestrator/core/protocol';
import { type ServiceIdentity } from '@agent-orchestrator/core/server';
import type {
  AuthenticatedSocket,
  AuthenticatedSocketParts,
  Connection,
  Peer,
  SocketRole,
} from '../auth/authenticated-socket.js';
import { bearerToken } from '../auth/credentials.js';
import type { ServiceCredential } from '../auth/identities.js';
import type { SocketTraffic } from '../metrics/socket-traffic.js';
import type { Admission } from '../sockets/admission.js';
import { Pace } from '../sockets/budgets.js';
import { CLOSE } from '../sockets/close-codes.js';
import { Inbox } from './inbox.js';

export interface ServiceConnectionParts extends AuthenticatedSocketParts {
  readonly orchestrator: Orchestrator;
  readonly traffic: SocketTraffic;
  readonly serviceFramesPerSecond: number;
  readonly serviceBytesPerSecond: number;
  readonly admission: Admission;
}

/**
 * Burst in seconds of the sustained rate. Small for bytes: what was read goes to the storage, and 16 MiB of
 * it once blocked the commands of all other tenants for a second.
 */
const BURST_SECONDS = { frames: 10, bytes: 0.125 };
/** Unsent bytes at which a service that does not read is disconnected. */
const MAX_UNSENT_BYTES = 4 * 1024 * 1024;

/**
 * Sockets of services, at `/ws/task_updates`: the first frame is `{ service_token, service_name }`, unless the upgrade
 * has the token in its `Authorization` header. A refusal is a frame too.
 */
export function serviceRole(parts: ServiceConnectionParts): SocketRole<'service'> {
  const { serviceFramesPerSecond: framesPerSecond, serviceBytesPerSecond: bytesPerSecond } = parts;
  const limits = {
    framesPerSecond,
    framesBurst: BURST_SECONDS.frames * framesPerSecond,
    bytesPerSecond,
    bytesBurst: BURST_SECONDS.bytes * bytesPerSecond,
  };
  return {
    kind: 'service',
    reading: () => ({ pace: new Pace(limits, parts.clock), beyond: 'wait' }),
    unknown: 'the service token is not known',
    otherKind: {
      code: CLOSE.unauthorized,
      reason: 'expected a service token, got another kind of credential',
    },
    greeting({ headers }) {
      const token = bearerToken(headers.authorization);
      return token === undefined ? undefined : { credential: { token } };
    },
    hello(frame) {
      const hello = validate(serviceHelloSchema, frame, 'the first frame', 'invalid_message');
      return { credential: { token: hello.service_token }, service: hello.service_name };
    },
    refusal: (code, message) => ({
      status: 'unauthorized',
      code: code === CLOSE.forbidden ? 'forbidden' : 'unauthorized',
      message,
    }),
    connect: (socket, peer) => new ServiceConnection(parts, socket, peer),
  };
}

/** The connection of an authenticated service: receives notifications, sends cancels and outcomes. */
class ServiceConnection implements Connection {
  readonly #socket: AuthenticatedSocket<'service'>;
  readonly #inbox: Inbox;
  readonly #detach: () => void;

  constructor(
    { orchestrator, traffic, logger, clock, heartbeatMs, admission }: ServiceConnectionParts,
    socket: AuthenticatedSocket<'service'>,
    peer: Peer<'service'>,
  ) {
    this.#socket = socket;
    const { id } = socket;
    const { service } = peer.identity;
    this.#inbox = new Inbox({
      intake: orchestrator.intake,
      from: () => identityOf(peer.identity),
      reply: {
        sendJson: (frame) => this.#push(frame),
        close: (code, reason) => socket.close(code, reason),
      },
      traffic,
      logger,
      clock,
      heldBytes: admission.heldBytes,
    });
    socket.sendJson({
      status: 'authenticated',
      connection_id: id,
      heartbeat_ms: heartbeatMs,
      max_payload: MAX_RESULT_BYTES,
    });
    this.#detach = orchestrator.links.attach({
      id,
      service,
      get tenants() {
        return peer.identity.tenants;
      },
      send: (frame) => this.#push(frame),
    });
    logger.info('a service connected', { service, connection_id: id });
  }

  frame(frame: JsonValue, bytes: number): void {
    this.#inbox.take(frame, bytes);
  }

  refuse(error: OrchestratorError): void {
    this.#inbox.refuse(error);
  }

  closed(): void {
    this.#detach();
    this.#inbox.close();
  }

  #push(frame: object): void {
    this.#socket.sendJson(frame);
    if (this.#socket.unsentBytes > MAX_UNSENT_BYTES) this.#socket.close(CLOSE.tooSlow, 'too much is unread');
  }
}

function identityOf({ service, tenants }: ServiceCredential): ServiceIdentity {
  return tenants ? { service, tenants } : { service };
}

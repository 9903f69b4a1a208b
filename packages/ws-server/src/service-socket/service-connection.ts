import type { IncomingMessage } from 'node:http';
import { type JsonValue, type Orchestrator, OrchestratorError, type Logger } from '@agent-orchestrator/core';
import { MAX_RESULT_BYTES, newToken, serviceHelloSchema, validate } from '@agent-orchestrator/core/protocol';
import { type ServiceIdentity } from '@agent-orchestrator/core/server';
import type { WebSocket } from 'ws';
import { bearerToken } from '../auth/credentials.js';
import type { Authenticator } from '../auth/authenticator.js';
import type { ServiceCredential } from '../auth/identities.js';
import type { SocketTraffic } from '../metrics/socket-traffic.js';
import type { Admission, Seat } from '../sockets/admission.js';
import { Pace } from '../sockets/budgets.js';
import { CLOSE } from '../sockets/close-codes.js';
import { closeFor } from '../auth/close-for.js';
import { CredentialCheck } from '../auth/credential-check.js';
import { FrameSocket, type FrameHandler } from '../sockets/frame-socket.js';
import { Inbox } from './inbox.js';

export interface ServiceConnectionParts {
  readonly orchestrator: Orchestrator;
  readonly authenticator: Authenticator;
  readonly traffic: SocketTraffic;
  readonly logger: Logger;
  readonly heartbeatMs: number;
  readonly helloMs: number;
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
/** Maximum of frames during authentication. */
const MAX_EARLY_FRAMES = 100;
/** Their bytes: room for one of the largest. The sender is not known yet. */
const MAX_EARLY_BYTES = MAX_RESULT_BYTES;

interface Admitted {
  readonly check: CredentialCheck;
  readonly inbox: Inbox;
  readonly detach: () => void;
}

/**
 * A service's connection to `/ws/task_updates`. Waits for the first frame (or takes the token of the
 * upgrade's `Authorization` header), authenticates it, then receives notifications and sends cancels and
 * outcomes.
 */
export class ServiceConnection implements FrameHandler {
  readonly #id = newToken();
  readonly #parts: ServiceConnectionParts;
  readonly #socket: FrameSocket;
  readonly #seat: Seat;
  #checking = false;
  #service = '';
  #earlyBytes = 0;
  #early: { readonly frame: JsonValue; readonly bytes: number }[] = [];
  #admitted: Admitted | undefined;

  constructor(parts: ServiceConnectionParts, socket: WebSocket, request: IncomingMessage, seat: Seat) {
    this.#parts = parts;
    this.#seat = seat;
    const { serviceFramesPerSecond: framesPerSecond, serviceBytesPerSecond: bytesPerSecond } = parts;
    const pace = new Pace({
      framesPerSecond,
      framesBurst: BURST_SECONDS.frames * framesPerSecond,
      bytesPerSecond,
      bytesBurst: BURST_SECONDS.bytes * bytesPerSecond,
    });
    const reading = { pace, beyond: 'wait' } as const;
    this.#socket = new FrameSocket(socket, request.socket, this, { ...parts, reading });
    const token = bearerToken(request.headers.authorization);
    if (token !== undefined) void this.#enter(token);
  }

  get share(): string {
    return `service ${this.#service}`;
  }

  frame(frame: JsonValue, bytes: number): void {
    this.#parts.traffic.frames.service += 1;
    if (this.#admitted) this.#admitted.inbox.take(frame, bytes);
    else if (!this.#checking) this.#hello(frame);
    else this.#keepEarly(frame, bytes);
  }

  #keepEarly(frame: JsonValue, bytes: number): void {
    this.#earlyBytes += bytes;
    if (this.#early.length < MAX_EARLY_FRAMES && this.#earlyBytes <= MAX_EARLY_BYTES)
      this.#early.push({ frame, bytes });
    else this.#socket.close(CLOSE.overloaded, 'too many frames before the token was checked');
  }

  unreadable(reason: string): void {
    this.#parts.traffic.frames.service += 1;
    if (this.#admitted) this.#admitted.inbox.refuse(new OrchestratorError('invalid_message', reason));
    else this.#refuse(reason);
  }

  noHello(reason: string): void {
    this.#refuse(reason);
  }

  beat(): void {
    this.#admitted?.check.beat();
  }

  closed(): void {
    this.#admitted?.detach();
    this.#admitted?.inbox.close();
  }

  /** Server shutdown: the service should reconnect after `retryAfterMs`. */
  shutDown(retryAfterMs: number): void {
    this.#socket.close(CLOSE.shuttingDown, JSON.stringify({ retry_after_ms: retryAfterMs }));
  }

  #hello(frame: JsonValue): void {
    try {
      const hello = validate(serviceHelloSchema, frame, 'the first frame', 'invalid_message');
      void this.#enter(hello.service_token, hello.service_name);
    } catch (error) {
      this.#refuse(error instanceof OrchestratorError ? error.message : 'the first frame is not valid');
    }
  }

  async #enter(token: string, name?: string): Promise<void> {
    this.#checking = true;
    this.#socket.greeted();
    const ids = { connection_id: this.#id, ...(name !== undefined && { service: name }) };
    const result = await this.#parts.authenticator.authenticate(token, ids, 'the service token is not known');
    if (result.answer === 'unavailable') this.#socket.close(CLOSE.overloaded, result.error.message);
    else if (result.answer === 'refused') this.#refuse(result.error.message, closeFor(result));
    else if (result.identity.kind !== 'service')
      this.#refuse('expected a service token, got another kind of credential');
    else if (name !== undefined && name !== result.identity.service)
      this.#refuse('the service token belongs to another service');
    else this.#admit(result.identity, token);
  }

  #admit(credential: ServiceCredential, token: string): void {
    if (!this.#socket.isOpen) return;
    const { service } = credential;
    this.#service = service;
    if (!this.#seat.assign({ service })) {
      this.#socket.close(CLOSE.overloaded, 'the service has as many connections as it may');
      return;
    }
    const { orchestrator, authenticator, logger, heartbeatMs, admission } = this.#parts;
    const id = this.#id;
    let from = identityOf(credential);
    const inbox = new Inbox({
      intake: orchestrator.intake,
      from: () => from,
      reply: {
        sendJson: (frame) => this.#push(frame),
        close: (code, reason) => this.#socket.close(code, reason),
      },
      traffic: this.#parts.traffic,
      logger,
      heldBytes: admission.heldBytes,
    });
    this.#socket.admit();
    this.#socket.sendJson({
      status: 'authenticated',
      connection_id: id,
      heartbeat_ms: heartbeatMs,
      max_payload: MAX_RESULT_BYTES,
    });
    const detach = orchestrator.links.attach({
      id,
      service,
      get tenants() {
        return from.tenants;
      },
      send: (frame) => this.#push(frame),
    });
    const check = new CredentialCheck({
      authenticator,
      token,
      ids: { connection_id: id, service },
      accept: (identity) => {
        if (identity.kind !== 'service' || identity.service !== service) return false;
        from = identityOf(identity);
        return true;
      },
      close: (code, reason) => this.#socket.close(code, reason),
    });
    this.#admitted = { check, inbox, detach };
    logger.info('a service connected', { service, connection_id: id });
    for (const { frame, bytes } of this.#early.splice(0)) inbox.take(frame, bytes);
  }

  #push(frame: object): void {
    this.#socket.sendJson(frame);
    if (this.#socket.unsentBytes > MAX_UNSENT_BYTES) this.#socket.close(CLOSE.tooSlow, 'too much is unread');
  }

  #refuse(message: string, code: number = CLOSE.unauthorized): void {
    this.#checking = true;
    const status = code === CLOSE.forbidden ? 'forbidden' : 'unauthorized';
    this.#socket.sendJson({ status: 'unauthorized', code: status, message });
    this.#socket.close(code, message);
  }
}

function identityOf({ service, tenants }: ServiceCredential): ServiceIdentity {
  return tenants ? { service, tenants } : { service };
}

import type { IncomingMessage } from 'node:http';
import { type Clock, type JsonValue, type Logger, OrchestratorError } from '@agent-orchestrator/core';
import { MAX_RESULT_BYTES, newToken } from '@agent-orchestrator/core/protocol';
import type { WebSocket } from 'ws';
import { CoveredBy } from '../rates/rate-state.js';
import type { LoginTry, RequestRates } from '../rates/request-rates.js';
import { clientAddress } from '../sockets/client-address.js';
import type { ConnectionOwner, Seat } from '../sockets/admission.js';
import { CLOSE } from '../sockets/close-codes.js';
import { type FrameHandler, FrameSocket, type ReadingPace } from '../sockets/frame-socket.js';
import type {
  AuthenticatedClient,
  Authentication,
  Authenticator,
  CheckIds,
  KnownIdentity,
} from './authenticator.js';
import { describeThrown } from './describe-thrown.js';
import { CredentialCheck } from './credential-check.js';
import { withinTicket } from './credentials.js';
import type { ServiceCredential } from './identities.js';
import type { ShownCredential } from './tickets.js';

/** Identities that may open a socket. */
interface SocketIdentity {
  readonly client: AuthenticatedClient;
  readonly service: ServiceCredential;
}
type Kind = keyof SocketIdentity;

export interface AuthenticatedSocketParts {
  readonly authenticator: Authenticator;
  readonly traffic: { readonly frames: Record<Kind, number> };
  readonly logger: Logger;
  readonly clock: Clock;
  readonly requestRates: RequestRates;
  /** Number of trusted proxies that append to `X-Forwarded-For`. */
  readonly trustedProxies: number;
  readonly heartbeatMs: number;
  readonly helloMs: number;
}

/** Credential of a peer, from its upgrade request or its first frame. */
export interface Greeting {
  readonly credential: ShownCredential;
  /** Name that the peer gives itself: has to be that of the credential. */
  readonly service?: string;
}

/** The authenticated end of a socket. */
export interface Peer<K extends Kind> {
  /** With its current rights: updated by each check. */
  readonly identity: SocketIdentity[K];
  readonly credential: ShownCredential;
}

/** Receiver of an authenticated socket's frames. */
export interface Connection {
  /** @param bytes length of its text. */
  frame(frame: JsonValue, bytes: number): void;
  /** Answers a text that is not valid JSON. */
  refuse(error: OrchestratorError): void;
  /** Called at each heartbeat. */
  beat?(): void;
  /** The credential was checked again: the peer's identity has its current rights. */
  rightsChanged?(): void;
  closed(): void;
}

/** Runs a login, unless too many from the address of the socket have failed. */
type Login = <T>(login: Pick<LoginTry, 'token' | 'ticket'>, work: () => Promise<T>) => Promise<T>;

/** Differences between the sockets of clients and services. */
export interface SocketRole<K extends Kind> {
  readonly kind: K;
  /** Rate limit of one socket. */
  reading(): ReadingPace;
  /** Reason for an unknown credential. */
  readonly unknown: string;
  /** Refusal of a credential of another kind. */
  readonly otherKind: { readonly code: number; readonly reason: string };
  /** Credential of the upgrade request; `undefined`: it comes with the first frame. */
  greeting(request: IncomingMessage, login: Login): Greeting | Promise<Greeting> | undefined;
  /** Credential of the first frame. @throws {OrchestratorError} its message is the reason of the close. */
  hello(frame: JsonValue): Greeting;
  /** Frame sent before the socket of a refused credential is closed. */
  refusal?(code: number, reason: string): object;
  connect(socket: AuthenticatedSocket<K>, peer: Peer<K>): Connection;
}

/** Maximum of frames during authentication. */
const MAX_EARLY_FRAMES = 100;
/** Their bytes: room for one of the largest. The sender is not known yet. */
const MAX_EARLY_BYTES = MAX_RESULT_BYTES;

interface Admitted<K extends Kind> {
  readonly peer: Peer<K>;
  readonly check: CredentialCheck;
  readonly connection: Connection;
}

/**
 * A WebSocket whose peer has to authenticate. States: `greeting` waits for a credential (upgrade request or
 * first frame), within the limits of time and bytes of `FrameSocket`; `checking` asks the host's identities and keeps
 * the frames that arrive meanwhile; `admitted` passes frames to the connection and rechecks the credential at each
 * heartbeat. A close leaves each state: 4401 without a valid credential, 4403 for a forbidden one, 1013 when it cannot be
 * checked or its owner has too many connections.
 */
export class AuthenticatedSocket<K extends Kind> implements FrameHandler {
  readonly id = newToken();
  readonly #parts: AuthenticatedSocketParts;
  readonly #role: SocketRole<K>;
  readonly #socket: FrameSocket;
  readonly #seat: Seat;
  readonly #address: string;
  #checking = false;
  #early: { readonly frame: JsonValue; readonly bytes: number }[] = [];
  #earlyBytes = 0;
  #admitted: Admitted<K> | undefined;

  constructor(
    parts: AuthenticatedSocketParts,
    role: SocketRole<K>,
    {
      socket,
      request,
      seat,
    }: { readonly socket: WebSocket; readonly request: IncomingMessage; readonly seat: Seat },
  ) {
    this.#parts = parts;
    this.#role = role;
    this.#seat = seat;
    this.#address = clientAddress(request, parts.trustedProxies);
    this.#socket = new FrameSocket(socket, request.socket, this, { ...parts, reading: role.reading() });
    const greeting = role.greeting(request, (login, work) => this.#login(login, work));
    if (greeting) void this.#enter(greeting);
  }

  /** Services are charged for their long frames; those of clients are small. */
  get share(): string {
    const owner = this.#admitted && ownerOf(this.#admitted.peer.identity);
    return owner && 'service' in owner ? `service ${owner.service}` : '';
  }

  /** Bytes that have not left the process. */
  get unsentBytes(): number {
    return this.#socket.unsentBytes;
  }

  send(text: string | Buffer, sent?: () => void): void {
    this.#socket.send(text, sent);
  }

  sendJson(frame: object): void {
    this.#socket.sendJson(frame);
  }

  /** @param withinMs time for the peer to take the unsent bytes and answer. */
  close(code: number, reason: string, withinMs?: number): void {
    this.#socket.close(code, reason, withinMs);
  }

  /** Server shutdown: the peer should reconnect after `retryAfterMs`. */
  shutDown(retryAfterMs: number): void {
    this.close(CLOSE.shuttingDown, JSON.stringify({ retry_after_ms: retryAfterMs }));
  }

  frame(frame: JsonValue, bytes: number): void {
    this.#parts.traffic.frames[this.#role.kind] += 1;
    if (this.#admitted) this.#admitted.connection.frame(frame, bytes);
    else if (this.#checking) this.#keepEarly(frame, bytes);
    else this.#hello(frame);
  }

  unreadable(reason: string): void {
    this.#parts.traffic.frames[this.#role.kind] += 1;
    if (this.#admitted) this.#admitted.connection.refuse(new OrchestratorError('invalid_message', reason));
    else this.#refuse(CLOSE.unauthorized, reason);
  }

  noHello(reason: string): void {
    this.#refuse(CLOSE.unauthorized, reason);
  }

  beat(): void {
    this.#admitted?.check.beat();
    this.#admitted?.connection.beat?.();
  }

  closed(): void {
    this.#admitted?.connection.closed();
  }

  #keepEarly(frame: JsonValue, bytes: number): void {
    this.#earlyBytes += bytes;
    if (this.#early.length < MAX_EARLY_FRAMES && this.#earlyBytes <= MAX_EARLY_BYTES)
      this.#early.push({ frame, bytes });
    else this.close(CLOSE.overloaded, 'too many frames before the token was checked');
  }

  #hello(frame: JsonValue): void {
    try {
      void this.#enter(this.#role.hello(frame));
    } catch (error) {
      this.#refuse(
        CLOSE.unauthorized,
        error instanceof OrchestratorError ? error.message : this.#role.unknown,
      );
    }
  }

  async #enter(greeting: Greeting | Promise<Greeting>): Promise<void> {
    this.#checking = true;
    this.#socket.greeted();
    let given: Greeting;
    try {
      given = await greeting;
    } catch (error) {
      const code = error instanceof OrchestratorError ? error.code : undefined;
      if (code === 'unauthorized') this.#refuse(CLOSE.unauthorized, (error as Error).message);
      else if (code === 'rate_limited') this.close(CLOSE.overloaded, (error as Error).message);
      else this.close(CLOSE.overloaded, 'the ticket could not be checked: come back later');
      return;
    }
    try {
      await this.#authenticate(given);
    } catch (error) {
      const ids = { connection_id: this.id };
      this.#parts.logger.error('a connection failed', { ...ids, error: describeThrown(error) });
      this.close(CLOSE.overloaded, 'internal error: come back later');
    }
  }

  async #authenticate({ credential, service }: Greeting): Promise<void> {
    const { kind, unknown, otherKind } = this.#role;
    const ids = { connection_id: this.id, ...(service !== undefined && { service }) };
    const result = await this.#check(credential, ids);
    if (result.answer === 'unavailable') return this.close(closeFor(result), result.error.message);
    if (result.answer === 'refused') return this.#refuse(closeFor(result), result.error.message);
    const identity = withinTicket(credential, result.identity);
    if (!identity) this.#refuse(CLOSE.unauthorized, unknown);
    else if (!isOfKind(identity, kind)) this.#refuse(otherKind.code, otherKind.reason);
    else if (service !== undefined && nameOf(ownerOf(identity)) !== service)
      this.#refuse(CLOSE.unauthorized, 'the service token belongs to another service');
    else this.#admit(identity, credential);
  }

  /** Asks the host's identities, unless too many logins from this address have failed. */
  async #check({ token }: ShownCredential, ids: CheckIds): Promise<Authentication> {
    const { authenticator } = this.#parts;
    let result: Authentication | undefined;
    try {
      await this.#login({ token, ticket: null }, async () => {
        result = await authenticator.authenticate(token, ids, this.#role.unknown);
        if (result.answer === 'refused') throw result.error;
      });
    } catch (error) {
      if (result === undefined && error instanceof OrchestratorError) return { answer: 'unavailable', error };
      if (result === undefined) throw error;
    }
    return result as Authentication;
  }

  #login<T>(login: Pick<LoginTry, 'token' | 'ticket'>, work: () => Promise<T>): Promise<T> {
    const address = this.#address === '' ? undefined : this.#address;
    return this.#parts.requestRates.login({ ...login, address, covered: new CoveredBy() }, work);
  }

  #admit(identity: SocketIdentity[K], credential: ShownCredential): void {
    if (!this.#socket.isOpen) return;
    const owner = ownerOf(identity);
    if (!this.#seat.assign(owner)) {
      const kind = 'tenant' in owner ? 'tenant' : 'service';
      this.close(CLOSE.overloaded, `the ${kind} has as many connections as it may`);
      return;
    }
    this.#socket.admit();
    const peer = { identity, credential };
    const connection = this.#role.connect(this, peer);
    const check = new CredentialCheck({
      authenticator: this.#parts.authenticator,
      token: credential.token,
      ids: { connection_id: this.id, ...('tenant' in owner ? { tenant_id: owner.tenant } : owner) },
      accept: (found) => {
        const current = withinTicket(credential, found);
        if (!current || !isOfKind(current, this.#role.kind)) return false;
        if (nameOf(ownerOf(current)) !== nameOf(owner)) return false;
        peer.identity = current;
        connection.rightsChanged?.();
        return true;
      },
      close: (code, reason) => this.close(code, reason),
    });
    this.#admitted = { peer, check, connection };
    for (const { frame, bytes } of this.#early.splice(0)) connection.frame(frame, bytes);
  }

  #refuse(code: number, reason: string): void {
    this.#checking = true;
    const frame = this.#role.refusal?.(code, reason);
    if (frame) this.sendJson(frame);
    this.close(code, reason);
  }
}

/** Close code of a credential that was not accepted, as the statuses 503, 403 and 401 over HTTP. */
function closeFor(result: Exclude<Authentication, { readonly answer: 'identified' }>): number {
  if (result.answer === 'unavailable') return CLOSE.overloaded;
  return result.error.code === 'forbidden' ? CLOSE.forbidden : CLOSE.unauthorized;
}

function isOfKind<K extends Kind>(identity: KnownIdentity, kind: K): identity is SocketIdentity[K] {
  return identity.kind === kind;
}

function ownerOf(identity: SocketIdentity[Kind]): ConnectionOwner {
  return identity.kind === 'client' ? { tenant: identity.tenant } : { service: identity.service };
}

function nameOf(owner: ConnectionOwner): string {
  return 'tenant' in owner ? owner.tenant : owner.service;
}

import { type IncomingMessage, type Server, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { MAX_RESULT_BYTES } from '@agent-orchestrator/core/protocol';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Admission, Seat } from './admission.js';
import { clientAddress } from './client-address.js';
import { CLOSE } from './close-codes.js';

/** A connection as the gate tracks it. */
export interface GatedConnection {
  shutDown(retryAfterMs: number): void;
}

/** A host's server: the listener on its upgrades, and the prefixes below which it accepts them. */
interface Attachment {
  readonly listener: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
  readonly prefixes: Set<string>;
  /** Open sockets that came through the server. */
  readonly sockets: Set<Duplex>;
}

/** A path that accepts WebSockets, and its handler. */
export interface UpgradeRoute {
  readonly path: string;
  /** Maximum frame size, bytes. */
  readonly maxPayload: number;
  open(socket: WebSocket, request: IncomingMessage, seat: Seat): GatedConnection;
}

export interface SocketGateOptions {
  readonly upgradeRoutes: readonly UpgradeRoute[];
  /** Exact origins of pages that may connect; other clients send none. */
  readonly allowedOrigins: ReadonlySet<string>;
  /** Further connections are closed with 1013. */
  readonly maxConnections: number;
  readonly admission: Admission;
  /** Number of trusted proxies that append to `X-Forwarded-For`. */
  readonly trustedProxies: number;
  /** Called when a connection becomes a WebSocket. */
  readonly entered: (socket: Socket) => void;
}

export const SERVICE_MAX_PAYLOAD = MAX_RESULT_BYTES;
export const CLIENT_MAX_PAYLOAD = 16 * 1024;
const MAX_FRAGMENTS = 64;
/** Jitter of the reconnects at shutdown, ms. */
const COME_BACK_WITHIN_MS = 5_000;

/**
 * Entry of upgrades: routes them by path, refuses foreign origins, and tracks connections, so that a shutdown
 * can close them.
 */
export class SocketGate {
  readonly #options: SocketGateOptions;
  readonly #servers: ReadonlyMap<
    string,
    { readonly server: WebSocketServer; readonly upgradeRoute: UpgradeRoute }
  >;
  readonly #open = new Map<WebSocket, GatedConnection>();
  readonly #attached = new Map<Server, Attachment>();
  #closed = false;

  constructor(options: SocketGateOptions) {
    this.#options = options;
    this.#servers = new Map(
      options.upgradeRoutes.map((upgradeRoute) => {
        const limits = { maxPayload: upgradeRoute.maxPayload, maxFragments: MAX_FRAGMENTS };
        const server = new WebSocketServer({
          noServer: true,
          perMessageDeflate: false,
          clientTracking: false,
          ...limits,
        });
        return [upgradeRoute.path, { server, upgradeRoute }];
      }),
    );
  }

  /**
   * Handles the upgrades of a server on the registered paths below a prefix; others are left to the host, if
   * it has a listener. A server has one listener of the gate, whatever the number of its prefixes.
   */
  attach(server: Server, prefix = ''): void {
    const attached = this.#attached.get(server);
    if (attached) {
      attached.prefixes.add(prefix);
      return;
    }
    const prefixes = new Set([prefix]);
    const sockets = new Set<Duplex>();
    const listener = (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      if (TAKEN.has(socket)) return;
      if (this.#upgrade(prefixes, request, socket, head)) {
        TAKEN.add(socket);
        sockets.add(socket);
        socket.once('close', () => sockets.delete(socket));
      } else if (isLastOfGates(server, listener)) refuse(socket, 404);
    };
    GATES.add(listener);
    this.#attached.set(server, { listener, prefixes, sockets });
    server.on('upgrade', listener);
  }

  /** Leaves the upgrades of a server to others, and destroys the sockets that came through it. */
  detach(server: Server): void {
    const attached = this.#attached.get(server);
    if (!attached) return;
    server.off('upgrade', attached.listener);
    this.#attached.delete(server);
    for (const socket of attached.sockets) socket.destroy();
  }

  /** Destroys remaining connections. */
  terminate(): void {
    for (const socket of this.#open.keys()) socket.terminate();
  }

  /** Closes all connections and resolves when they are gone. Accepts none any more. */
  async close(): Promise<void> {
    this.#closed = true;
    const gone = [...this.#open].map(([socket, connection]) => {
      const ended = new Promise<void>((resolve) => socket.once('close', () => resolve()));
      connection.shutDown(Math.floor(Math.random() * COME_BACK_WITHIN_MS));
      return ended;
    });
    await Promise.all(gone);
    for (const server of this.#attached.keys()) this.detach(server);
  }

  #upgrade(prefixes: ReadonlySet<string>, request: IncomingMessage, socket: Duplex, head: Buffer): boolean {
    const path = (request.url ?? '/').split('?', 1)[0] ?? '/';
    const found = [...prefixes]
      .filter((prefix) => path.startsWith(`${prefix}/`))
      .map((prefix) => this.#servers.get(path.slice(prefix.length)))
      .find((server) => server !== undefined);
    if (!found) return false;
    const { origin } = request.headers;
    if (this.#closed) refuse(socket, 503);
    else if (origin !== undefined && !this.#options.allowedOrigins.has(origin)) refuse(socket, 403);
    else
      this.#seated(request, socket, (seat) =>
        found.server.handleUpgrade(request, socket, head, (ws) =>
          this.#enter(found.upgradeRoute, ws, request, seat),
        ),
      );
    return true;
  }

  /** Continues with a slot for an unauthenticated connection, if its address has one left. */
  #seated(request: IncomingMessage, socket: Duplex, enter: (seat: Seat) => void): void {
    const { admission, trustedProxies } = this.#options;
    const seat = admission.enter(clientAddress(request, trustedProxies));
    if (!seat) {
      refuse(socket, 429);
      return;
    }
    socket.once('close', () => seat.leave());
    enter(seat);
  }

  #enter(upgradeRoute: UpgradeRoute, socket: WebSocket, request: IncomingMessage, seat: Seat): void {
    this.#options.entered(request.socket);
    if (this.#open.size >= this.#options.maxConnections) {
      socket.on('error', () => socket.terminate());
      socket.close(CLOSE.overloaded, 'too many connections');
      this.#open.set(socket, { shutDown: () => socket.terminate() });
    } else {
      this.#open.set(socket, upgradeRoute.open(socket, request, seat));
    }
    socket.once('close', () => this.#open.delete(socket));
  }
}

/** Listeners of all gates: several may share a server. */
const GATES = new WeakSet<(...args: never[]) => unknown>();
/** Sockets that a gate has answered. */
const TAKEN = new WeakSet<Duplex>();

/** Whether no listener comes after this one, and all are gates: nothing else will answer. */
function isLastOfGates(server: Server, listener: (...args: never[]) => unknown): boolean {
  const all = server.listeners('upgrade') as ((...args: never[]) => unknown)[];
  return all.at(-1) === listener && all.every((one) => GATES.has(one));
}

function refuse(socket: Duplex, status: number): void {
  socket.on('error', () => socket.destroy());
  // A peer that does not close its side would keep the socket, and with it the server.
  socket.once('finish', () => socket.destroy());
  const retry = status === 503 || status === 429 ? 'Retry-After: 1\r\n' : '';
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${retry}Connection: close\r\nContent-Length: 0\r\n\r\n`,
  );
}

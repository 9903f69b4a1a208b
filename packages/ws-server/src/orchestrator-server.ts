import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Clock, type Orchestrator, OrchestratorError } from '@agent-orchestrator/core';
import { atMost } from '@agent-orchestrator/core/server';
import { Tickets } from './auth/tickets.js';
import { Authenticator } from './auth/authenticator.js';
import { AuthenticatedSocket, type SocketRole } from './auth/authenticated-socket.js';
import { clientRole } from './client-socket/client-connection.js';
import { describeThrown } from './auth/describe-thrown.js';
import { FeedDirectory } from './client-socket/feed-directory.js';
import { createHandler } from './http/handler.js';
import { splitPath } from './http/split-path.js';
import { RequestRates } from './rates/request-rates.js';
import { LargeBodies } from './http/large-bodies.js';
import type { HandlesHttp, NeutralHandler } from './http/neutral-request.js';
import { type MountOptions, readPrefix } from './http/mount-prefix.js';
import { answering } from './http/node-adapter.js';
import { Router } from './http/router.js';
import { HEALTH_ROUTES, ROUTES } from './http/routes/route-table.js';
import { OverviewSampler } from './metrics/overview-sampler.js';
import { ServiceBoard } from './metrics/service-board.js';
import { ServerMetrics } from './metrics/server-metrics.js';
import type { SocketKind } from './metrics/socket-traffic.js';
import { RunningRequests } from './running-requests.js';
import { type OrchestratorServerOptions, readOptions, type ServerSettings } from './server-options.js';
import { serviceRole } from './service-socket/service-connection.js';
import { Admission } from './sockets/admission.js';
import { ConnectionLimit } from './sockets/connection-limit.js';
import {
  CLIENT_MAX_PAYLOAD,
  SERVICE_MAX_PAYLOAD,
  type UpgradeRoute,
  SocketGate,
} from './sockets/socket-gate.js';

/** Options of `OrchestratorServer.stop`. */
export interface StopOptions {
  /** Grace period of running requests and tasks, ms. Default: 10,000. */
  readonly graceMs?: number;
  /** Ends the grace period early. */
  readonly signal?: AbortSignal;
}

const DEFAULT_PORT = 8000;
const DEFAULT_HOST = '127.0.0.1';
const LOOPBACK = /^(?:127\.\d+\.\d+\.\d+|::1|localhost)$/;
/** Interval of Node's check for timed-out requests, ms; its default is 30 seconds. */
const CHECKING_MS = 500;
const DEFAULT_GRACE_MS = 10_000;
const CAN_NOT_LISTEN: Readonly<Record<string, string>> = {
  EADDRINUSE: 'is in use already: stop what listens there, or choose another port',
  EACCES: 'may not be listened on: choose a port from 1024 on',
  EADDRNOTAVAIL: 'is no address of this machine',
};

/**
 * An orchestrator on the network: HTTP routes, the services' socket and the clients' socket.
 *
 * States: `idle`, `running`, and transitions between them. `listen()` starts the orchestrator and a server of
 * its own; `start()` with `attach()`, `toNodeHandler()` or `toFetchHandler()` runs inside a host's server.
 * `stop()` ends what was started in reverse order: no new requests, streams and sockets closed, running
 * requests, orchestrator. Like the orchestrator it cannot be restarted: create a new one.
 *
 * @example
 * await using server = await new OrchestratorServer(orchestrator, { identities }).listen(8000);
 */
export class OrchestratorServer implements HandlesHttp, AsyncDisposable {
  readonly handler: NeutralHandler;
  readonly #orchestrator: Orchestrator;
  readonly #settings: ServerSettings;
  readonly #router: Router;
  readonly #metrics: ServerMetrics;
  readonly #board: ServiceBoard;
  readonly #overview: OverviewSampler;
  readonly #running = new RunningRequests();
  readonly #gate: SocketGate;
  readonly #connections: ConnectionLimit;
  readonly #feeds: FeedDirectory;
  readonly #stopping = new AbortController();
  #server: Server | undefined;
  #started: Promise<void> | undefined;
  #listening: Promise<this> | undefined;
  #stopped: Promise<void> | undefined;

  constructor(orchestrator: Orchestrator, options: OrchestratorServerOptions) {
    this.#orchestrator = orchestrator;
    this.#settings = readOptions(options);
    const { identities, logger, clock, heartbeatMs, allowedOrigins, maxConnections, serves } = this.#settings;
    const timeoutMs = this.#settings.authenticateTimeoutMs;
    const authenticator = new Authenticator({ identities, logger, clock, timeoutMs });
    const tickets = new Tickets(orchestrator, this.#settings.maxTicketsPerTenant, clock);
    const admission = new Admission(this.#settings);
    const rates = new RequestRates(this.#settings.rates, orchestrator, clock);
    const metrics = new ServerMetrics(orchestrator, clock, rates.refused);
    this.#metrics = metrics;
    this.#board = new ServiceBoard(orchestrator, clock);
    this.#overview = new OverviewSampler(orchestrator, this.#board, clock);
    this.#router = new Router(serves === 'health' ? HEALTH_ROUTES : ROUTES);
    const delivered = (lagMs: number) => metrics.delivered(lagMs);
    this.#feeds = new FeedDirectory(orchestrator, { logger, clock, delivered });
    const services = {
      orchestrator,
      tickets,
      authenticator,
      admission,
      feeds: this.#feeds,
      metrics,
      board: this.#board,
      overview: this.#overview,
      clock,
      heartbeatMs,
      stopping: this.#stopping.signal,
    };
    this.handler = this.#running.counted(
      createHandler({
        router: this.#router,
        authenticator,
        services,
        logger,
        largeBodies: new LargeBodies(),
        rates,
        trustedProxies: this.#settings.trustedProxies,
        answered: (label, status, seconds) => metrics.answered(label, status, seconds),
      }),
    );
    const upgradeRoutes =
      serves === 'health'
        ? []
        : this.#upgradeRoutes({ tickets, authenticator, admission, requestRates: rates });
    const { trustedProxies } = this.#settings;
    this.#connections = new ConnectionLimit(this.#settings);
    this.#gate = new SocketGate({
      allowedOrigins,
      maxConnections,
      upgradeRoutes,
      admission,
      trustedProxies,
      entered: (socket) => this.#connections.release(socket),
    });
  }

  #upgradeRoutes(shared: {
    readonly tickets: Tickets;
    readonly authenticator: Authenticator;
    readonly admission: Admission;
    readonly requestRates: RequestRates;
  }): readonly UpgradeRoute[] {
    const { traffic } = this.#metrics;
    const parts = {
      orchestrator: this.#orchestrator,
      ...shared,
      feeds: this.#feeds,
      traffic,
      ...this.#settings,
    };
    const open =
      <K extends SocketKind>(role: SocketRole<K>): UpgradeRoute['open'] =>
      (socket, request, seat) => {
        traffic.open[role.kind] += 1;
        socket.once('close', () => (traffic.open[role.kind] -= 1));
        return new AuthenticatedSocket(parts, role, { socket, request, seat });
      };
    return [
      { path: '/ws/task_updates', maxPayload: SERVICE_MAX_PAYLOAD, open: open(serviceRole(parts)) },
      { path: '/ws/client', maxPayload: CLIENT_MAX_PAYLOAD, open: open(clientRole(parts)) },
    ];
  }

  /**
   * Base URL, like `http://127.0.0.1:8000`. @throws {OrchestratorError} `not_running` when it does not
   * listen.
   */
  get url(): string {
    const address = this.#server?.address();
    if (!address || typeof address === 'string')
      throw new OrchestratorError('not_running', 'the server does not listen');
    const host = address.family === 'IPv6' ? `[${address.address}]` : address.address;
    return `http://${host}:${address.port}`;
  }

  get clock(): Clock {
    return this.#settings.clock;
  }

  serves(path: string): boolean {
    return this.#router.knows(splitPath(path)[0]);
  }

  /**
   * Starts the orchestrator without a server of its own. @throws {OrchestratorError} `not_running` after
   * `stop`.
   */
  async start(): Promise<void> {
    this.#refuseStopped();
    this.#started ??= this.#begin();
    await this.#started;
  }

  /**
   * Starts the orchestrator and listens.
   *
   * @param port 0 for any free port. Default: 8000.
   * @param host Default: `127.0.0.1`, this machine only.
   * @throws {OrchestratorError} `not_running` when the port is not available, with the reason, or after
   *   `stop`.
   */
  async listen(port = DEFAULT_PORT, host = DEFAULT_HOST): Promise<this> {
    this.#refuseStopped();
    this.#listening ??= this.#listen(port, host);
    return this.#listening;
  }

  /**
   * Handles the upgrades of a host's server to `/ws/…`, below the prefix if there is one. Upgrades to other
   * paths are left to the host's listeners, or refused with 404 if it has none.
   *
   * @throws {OrchestratorError} `invalid_request` for an invalid prefix, `not_running` after `stop`.
   */
  attach(server: Server, options: MountOptions = {}): void {
    this.#refuseStopped();
    this.#gate.attach(server, readPrefix(options));
  }

  /** Stops everything within `graceMs`. */
  async stop(options: StopOptions = {}): Promise<void> {
    this.#stopped ??= this.#stop(options);
    await this.#stopped;
  }

  #refuseStopped(): void {
    if (this.#stopped)
      throw new OrchestratorError('not_running', 'the server was stopped: create a new one', {
        retryable: false,
      });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #begin(): Promise<void> {
    this.#metrics.watchProcess();
    try {
      await this.#orchestrator.start();
    } catch (error) {
      this.#started = undefined;
      throw error;
    }
    if (this.#settings.serves !== 'health') this.#overview.start();
  }

  async #listen(port: number, host: string): Promise<this> {
    const server = createServer({
      headersTimeout: this.#settings.headersTimeoutMs,
      requestTimeout: this.#settings.requestTimeoutMs,
      connectionsCheckingInterval: CHECKING_MS,
    });
    const { trustedProxies, logger } = this.#settings;
    if (trustedProxies === 0) this.#connections.attach(server);
    const handle = answering(this, {}, (error, response) => {
      logger.error('an answer could not be written', { error: describeThrown(error) });
      response.destroy();
    });
    server.on('request', (request, response) => {
      response.once('close', () => this.#closeIdle(server));
      void handle(request, response);
    });
    try {
      await listening(server, port, host);
      this.#server = server;
      // A client that was waiting for the port connects at once: sockets are served as early as requests.
      this.#gate.attach(server);
      await this.start();
    } catch (error) {
      this.#gate.detach(server);
      server.close();
      this.#server = undefined;
      this.#listening = undefined;
      throw error;
    }
    const { port: taken } = server.address() as AddressInfo;
    logger.info('the server listens', { host, port: taken });
    if (!LOOPBACK.test(host))
      logger.warn('the server is reached without TLS: put a proxy with TLS before it', { host });
    return this;
  }

  async #stop({ graceMs = DEFAULT_GRACE_MS, signal }: StopOptions): Promise<void> {
    await Promise.allSettled([this.#started, this.#listening]);
    const { clock } = this;
    const until = clock.monotonic() + graceMs;
    const closed = this.#closeServer();
    this.#stopping.abort();
    const ended = Promise.all([this.#gate.close(), this.#running.idle(), closed]);
    await atMost(clock, graceMs, ended, signal);
    this.#server?.closeAllConnections();
    this.#gate.terminate();
    await closed;
    this.#server = undefined;
    await this.#feeds.stop();
    await this.#overview.stop();
    const left = Math.max(0, until - clock.monotonic());
    if (this.#started) await this.#orchestrator.stop({ graceMs: left, ...(signal && { signal }) });
    this.#board.stop();
    this.#metrics.stop();
    this.#settings.logger.info('the server has stopped');
  }

  /** During shutdown an idle keep-alive connection is closed. */
  #closeIdle(server: Server): void {
    if (this.#stopping.signal.aborted) setImmediate(() => server.closeIdleConnections());
  }

  /** Accepts no more connections; resolves when the last one is closed. */
  async #closeServer(): Promise<void> {
    const server = this.#server;
    if (!server) return;
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeIdleConnections();
    });
  }
}

async function listening(server: Server, port: number, host: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const why = CAN_NOT_LISTEN[error.code ?? ''] ?? `can't be listened on (${error.code ?? error.message})`;
      reject(
        new OrchestratorError('not_running', `port ${port} of ${host} ${why}`, {
          retryable: false,
          cause: error,
        }),
      );
    });
    server.listen(port, host, () => {
      server.removeAllListeners('error');
      resolve();
    });
  });
}

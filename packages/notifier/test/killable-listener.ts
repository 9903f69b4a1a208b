import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { type OrchestratorServer, toNodeHandler } from '@agent-orchestrator/ws-server';

/** Where an `OrchestratorServer` is reached, on a port that another one may take after it. */
export class KillableListener {
  readonly #sockets = new Set<Socket>();

  private constructor(private readonly http: Server) {
    http.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
  }

  /** @param port 0 for any. */
  static async open(server: OrchestratorServer, port: number): Promise<KillableListener> {
    const handle = toNodeHandler(server);
    const http = createServer((request, response) => void handle(request, response));
    const listener = new KillableListener(http);
    server.attach(http);
    await server.start();
    http.listen(port, '127.0.0.1');
    await once(http, 'listening');
    return listener;
  }

  get port(): number {
    return (this.http.address() as AddressInfo).port;
  }

  get connections(): number {
    return this.#sockets.size;
  }

  /** As if the process had been killed: connections are reset without a close frame. */
  async kill(): Promise<void> {
    const closed = new Promise((resolve) => this.http.close(resolve));
    for (const socket of this.#sockets) socket.resetAndDestroy();
    await closed;
  }

  /** Accepts no more connections. */
  close(): void {
    this.http.close();
  }

  closeAllConnections(): void {
    this.http.closeAllConnections();
  }
}

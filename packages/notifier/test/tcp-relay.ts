import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

/** A TCP line to a port, which a test may break in the ways in which lines break. */
export class TcpRelay {
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  readonly #server = createServer((near) => this.#join(near));
  /** Number of connection attempts. */
  dialled = 0;
  /** What goes to the hub, or comes from it, is swallowed; the connections stay up. */
  swallow: { toHub: boolean; fromHub: boolean } = { toHub: false, fromHub: false };
  /** Bytes that were swallowed. */
  swallowed = 0;

  private constructor(private readonly hubPort: number) {}

  static async to(hubPort: number): Promise<TcpRelay> {
    const line = new TcpRelay(hubPort);
    line.#server.listen(0, '127.0.0.1');
    await once(line.#server, 'listening');
    onTestFinished(() => {
      line.cut();
      line.#server.close();
    });
    return line;
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Resets every connection. */
  cut(): void {
    for (const pair of this.#pairs) for (const socket of pair) socket.resetAndDestroy();
  }

  #join(near: Socket): void {
    this.dialled += 1;
    const far = connect(this.hubPort, '127.0.0.1');
    const pair = [near, far] as const;
    this.#pairs.add(pair);
    // What is swallowed on a connection stays lost: whatever came after it would make no sense.
    const holes = { toHub: false, fromHub: false };
    const pump = (from: Socket, to: Socket, way: 'toHub' | 'fromHub') => {
      from.on('data', (bytes) => {
        holes[way] ||= this.swallow[way];
        if (holes[way]) this.swallowed += bytes.byteLength;
        else to.write(bytes);
      });
      from.on('error', () => to.destroy());
      from.on('close', () => {
        if (holes[way]) return;
        to.destroy();
        this.#pairs.delete(pair);
      });
    };
    pump(near, far, 'toHub');
    pump(far, near, 'fromHub');
  }
}

import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/** Below the ports for outgoing connections, which could take a port between the check and its use. */
const FIRST = 10_000;
const LAST = 22_000;
/** Offset of a Cluster node's bus port. */
export const BUS_OFFSET = 10_000;

/** A port of this machine that is free, as is the bus port of a Cluster node beside it. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 100; tries += 1) {
    const port = randomInt(FIRST, LAST);
    if ((await isFree(port)) && (await isFree(port + BUS_OFFSET))) return port;
  }
  throw new Error(`found no free port from ${FIRST} to ${LAST}`);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

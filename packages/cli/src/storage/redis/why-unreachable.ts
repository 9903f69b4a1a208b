import { connect } from 'node:net';
import type { RedisSetting } from './redis-address.js';

const TIMEOUT_MS = 1_000;

/** The system's error of connecting to the first host; `undefined` on success. */
export function whyUnreachable({ hosts: [first = ''] }: RedisSetting): Promise<string | undefined> {
  const { hostname, port } = new URL(`redis://${first}`);
  return new Promise((resolve) => {
    const socket = connect({ host: hostname.replaceAll(/^\[|\]$/g, ''), port: Number(port) });
    const end = (why: string | undefined) => {
      socket.destroy();
      resolve(why);
    };
    socket.setTimeout(TIMEOUT_MS, () => end('no connection'));
    socket.once('connect', () => end(undefined));
    socket.once('error', (error: NodeJS.ErrnoException) => end(error.code ?? error.message));
  });
}

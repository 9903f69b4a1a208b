import { connect, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

const MASK = Buffer.from([1, 2, 3, 4]);

/**
 * A WebSocket frame, byte by byte: `first` has FIN, RSV and opcode; `length` may differ from the payload's.
 */
export function frame(
  first: number,
  payload: Buffer | string = '',
  { masked = true, length = -1 } = {},
): Buffer {
  // A copy: masking changes it.
  const bytes = Buffer.from(payload);
  const size = length < 0 ? bytes.byteLength : length;
  const short = size < 126;
  const head = Buffer.alloc(short ? 2 : 10);
  head[0] = first;
  head[1] = (masked ? 0x80 : 0) | (short ? size : 127);
  if (!short) head.writeBigUInt64BE(BigInt(size), 2);
  if (!masked) return Buffer.concat([head, bytes]);
  for (let at = 0; at < bytes.byteLength; at += 1) bytes[at] = (bytes[at] ?? 0) ^ MASK.readUInt8(at % 4);
  return Buffer.concat([head, MASK, bytes]);
}

/**
 * A WebSocket without a library: it sends arbitrary bytes, and counts what it reads. It ends with the test.
 */
export class RawSocket {
  readonly socket: Socket;
  /** Resolves with the code of the received close frame, or 1006 for an end without one. */
  readonly closed: Promise<number>;
  readonly counts = { text: 0, pong: 0, ping: 0 };
  /** Resolves once the upgrade is answered. */
  readonly open: Promise<void>;
  #bytes = Buffer.alloc(0);
  #upgraded = false;

  constructor(url: string, path: string, headers: readonly string[] = []) {
    const { hostname, port } = new URL(url);
    this.socket = connect(Number(port), hostname);
    onTestFinished(() => void this.socket.destroy());
    this.socket.write(
      [
        `GET ${path} HTTP/1.1`,
        'Host: localhost',
        'Connection: Upgrade',
        'Upgrade: websocket',
        'Sec-WebSocket-Version: 13',
        `Sec-WebSocket-Key: ${Buffer.alloc(16).toString('base64')}`,
        ...headers,
        '\r\n',
      ].join('\r\n'),
    );
    let opened = () => {};
    this.open = new Promise((resolve) => (opened = resolve));
    this.closed = new Promise((resolve) => {
      this.socket.on('error', () => undefined);
      this.socket.on('close', () => resolve(1006));
      this.socket.on('data', (chunk) => {
        this.#bytes = Buffer.concat([this.#bytes, chunk]);
        if (!this.#upgraded && !this.#upgrade()) return;
        opened();
        const code = this.#read();
        if (code !== undefined) resolve(code);
      });
    });
  }

  /** Resolves once the system has accepted the bytes, or the socket is closed. */
  async write(bytes: Buffer): Promise<void> {
    if (this.socket.destroyed || this.socket.write(bytes)) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        this.socket.off('drain', done).off('close', done);
        resolve();
      };
      this.socket.on('drain', done).on('close', done);
    });
  }

  #upgrade(): boolean {
    const end = this.#bytes.indexOf('\r\n\r\n');
    if (end < 0) return false;
    this.#upgraded = true;
    this.#bytes = this.#bytes.subarray(end + 4);
    return true;
  }

  /** Reads whole frames, which are unmasked; returns the code of a close frame. */
  #read(): number | undefined {
    let at = 0;
    const bytes = this.#bytes;
    while (at + 2 <= bytes.length) {
      const [first, short] = [bytes.readUInt8(at), bytes.readUInt8(at + 1)];
      if (short === 126 && at + 4 > bytes.length) break;
      const [start, size] = short === 126 ? [at + 4, bytes.readUInt16BE(at + 2)] : [at + 2, short];
      if (start + size > bytes.length) break;
      if (first === 0x88) return size >= 2 ? bytes.readUInt16BE(start) : 1005;
      if (first === 0x81) this.counts.text += 1;
      if (first === 0x89) this.counts.ping += 1;
      if (first === 0x8a) this.counts.pong += 1;
      at = start + size;
    }
    this.#bytes = bytes.subarray(at);
    return undefined;
  }
}

import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { type RunningServer, startServer, TOKENS } from './running-server.js';

const HELLO = JSON.stringify({ service_token: TOKENS.query, service_name: 'query' });
const MASK = Buffer.from([1, 2, 3, 4]);

/** A frame, byte by byte: `first` holds FIN, RSV and opcode. */
function frame(first: number, payload: Buffer | string, { masked = true, length = -1 } = {}): Buffer {
  const bytes = Buffer.from(payload);
  const head = Buffer.alloc(10);
  head[0] = first;
  head[1] = (masked ? 0x80 : 0) | 127;
  head.writeBigUInt64BE(BigInt(length < 0 ? bytes.length : length), 2);
  if (!masked) return Buffer.concat([head, bytes]);
  return Buffer.concat([head, MASK, bytes.map((byte, index) => byte ^ (MASK[index % 4] ?? 0))]);
}

/** Sends bytes after the upgrade and gives the code of the close frame that comes back. */
async function closeCodeFor(running: RunningServer, ...sent: Buffer[]): Promise<number> {
  const { hostname, port } = new URL(running.url);
  const socket = connect(Number(port), hostname);
  socket.write(
    [
      'GET /ws/task_updates HTTP/1.1',
      'Host: localhost',
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      `Sec-WebSocket-Key: ${Buffer.alloc(16).toString('base64')}`,
      '\r\n',
    ].join('\r\n'),
  );
  let bytes = Buffer.alloc(0);
  return new Promise((resolve, reject) => {
    let upgraded = false;
    socket.on('error', reject);
    socket.on('data', (chunk) => {
      bytes = Buffer.concat([bytes, chunk]);
      const end = bytes.indexOf('\r\n\r\n');
      if (!upgraded && end >= 0) {
        upgraded = true;
        bytes = bytes.subarray(end + 4);
        for (const some of sent) socket.write(some);
      }
      const code = closeCodeIn(bytes);
      if (!upgraded || code === undefined) return;
      socket.destroy();
      resolve(code);
    });
    socket.on('close', () => reject(new Error('the connection ended without a close frame')));
  });
}

/** Walks over the frames of the server, which are short and unmasked. */
function closeCodeIn(bytes: Buffer): number | undefined {
  for (let at = 0; at + 2 <= bytes.length;) {
    const [first, short] = [bytes.readUInt8(at), bytes.readUInt8(at + 1)];
    const [start, size] = short === 126 ? [at + 4, bytes.readUInt16BE(at + 2)] : [at + 2, short];
    if (first === 0x88 && bytes.length >= start + 2) return bytes.readUInt16BE(start);
    at = start + size;
  }
  return undefined;
}

describe('frames that break the protocol', () => {
  it.each([
    ['unmasked', [frame(0x81, HELLO, { masked: false })], 1002],
    ['with a reserved bit', [frame(0xc1, HELLO)], 1002],
    ['with an unknown opcode', [frame(0x83, HELLO)], 1002],
    ['that continue nothing', [frame(0x80, HELLO)], 1002],
    ['of 100 MiB', [frame(0x81, HELLO), frame(0x81, 'x', { length: 100 * 1024 * 1024 })], 1009],
    ['not in UTF-8', [frame(0x81, HELLO), frame(0x81, Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]))], 1007],
    [
      'in a thousand pieces',
      [frame(0x81, HELLO), frame(0x01, ''), ...Array.from({ length: 1_000 }, () => frame(0x00, ''))],
      1008,
    ],
    ['binary', [frame(0x81, HELLO), frame(0x82, '{}')], 1003],
    ['endless before the first is complete', [frame(0x81, 'x'.repeat(5_000), { length: 900_000 })], 4401],
  ])('%s close it', async (_, sent, code) => {
    const running = await startServer();
    expect(await closeCodeFor(running, ...sent)).toBe(code);
    expect((await running.ask('GET', '/health/live')).status).toBe(200);
  });
});

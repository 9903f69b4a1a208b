import { expect, it } from 'vitest';
import { EventCollector } from '../event-collector.js';
import type { FaultTable } from '../fault-table.js';
import { KEYS, KillableHub, notifierOf, TOKENS, until } from '../killable-hub.js';
import { growth, heldMiB } from '../memory.js';
import { frame, RawSocket } from '../raw-socket.js';

const TEXT = 0x81;
const DEEP = '['.repeat(4_000) + ']'.repeat(4_000);
const repeated = (times: number, some: Buffer) => Buffer.concat(Array.from({ length: times }, () => some));
const closeWith = (code: number) => {
  const payload = Buffer.alloc(2);
  payload.writeUInt16BE(code);
  return frame(0x88, payload);
};

const BOTH = ['/ws/task_updates', '/ws/client'] as const;
/** Cases that other tests cover for the services' socket. */
const CLIENT = ['/ws/client'] as const;

const CASES: readonly (readonly [string, readonly string[], Buffer, number])[] = [
  ['unmasked', CLIENT, frame(TEXT, '{}', { masked: false }), 1002],
  ['RSV1', CLIENT, frame(0xc1, '{}'), 1002],
  ['RSV2', BOTH, frame(0xa1, '{}'), 1002],
  ['RSV3', BOTH, frame(0x91, '{}'), 1002],
  ['an unknown opcode', CLIENT, frame(0x83, '{}'), 1002],
  ['a continuation of nothing', CLIENT, frame(0x80, '{}'), 1002],
  ['bad UTF-8', CLIENT, frame(TEXT, Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22])), 1007],
  [
    'bad UTF-8 in two pieces',
    BOTH,
    Buffer.concat([frame(0x01, '"\xe2'), frame(0x80, Buffer.from([0xff]))]),
    1007,
  ],
  ['16,000 fragments', BOTH, Buffer.concat([frame(0x01), repeated(16_000, frame(0x00))]), 1008],
  ['a length of 100 MiB', CLIENT, frame(TEXT, 'x', { length: 100 * 2 ** 20 }), 1009],
  ['a length of 2^63', BOTH, Buffer.from([0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]), 1009],
  ['binary', CLIENT, frame(0x82, '{}'), 1003],
  ['a ping of 126 bytes', BOTH, frame(0x89, 'x'.repeat(126)), 1002],
  ['a ping in pieces', BOTH, frame(0x09, 'x'), 1002],
  ['a close of one byte', BOTH, frame(0x88, 'x'), 1002],
  ['a close with 1005', BOTH, closeWith(1005), 1002],
  ['JSON 4,000 deep, ten times', BOTH, repeated(10, frame(TEXT, DEEP)), 1008],
  ['__proto__, ten times', BOTH, repeated(10, frame(TEXT, '{"__proto__":{"polluted":true}}')), 1008],
];

async function connected(hub: KillableHub, path: string): Promise<RawSocket> {
  const token = path === '/ws/client' ? KEYS.acme : TOKENS.query;
  const socket = new RawSocket(hub.url, path, [`Authorization: Bearer ${token}`]);
  await socket.open;
  return socket;
}

/** Checks that a service and a client connected before are still served. */
async function served(hub: KillableHub) {
  const query = notifierOf('query', hub.url);
  const client = await new EventCollector(hub.url).start();
  await query.ready();
  let served = 0;
  return async () => {
    served += 1;
    const id = await hub.track(`job-${served}`);
    await query.notifyTaskCompletion({ task_id: `job-${served}`, tenant_id: 'acme', result: served });
    expect((await client.final(id)).data).toBe(served);
    expect([client.violations, client.connected]).toEqual([[], 1]);
  };
}

async function malformed(table: FaultTable): Promise<void> {
  const hub = await KillableHub.start();
  const check = await served(hub);
  const before = heldMiB();
  for (const [fault, paths, bytes, expected] of CASES) {
    const seen: number[] = [];
    for (const path of paths) {
      const socket = await connected(hub, path);
      await socket.write(bytes);
      seen.push(await socket.closed);
      socket.socket.destroy();
      await check();
    }
    expect(seen, fault).toEqual(paths.map(() => expected));
    const where = paths.length === 2 ? 'both sockets' : 'client socket';
    table.add({
      row: 25,
      fault: `${fault} (${where})`,
      expected: `close ${expected}`,
      seen: `close ${seen.join(', ')}`,
      detail: 'others served',
    });
  }
  expect((Object.prototype as { polluted?: unknown }).polluted).toBeUndefined();
  await until(() => hub.connections === 2);
  const grown = heldMiB() - before;
  expect(grown).toBeLessThan(32);
}

const PINGS = 50_000;
/** Fewer than a client may send at once. */
const ANSWERED = 90;

async function pingFlood(table: FaultTable): Promise<void> {
  const hub = await KillableHub.start();
  const check = await served(hub);
  const before = heldMiB();
  const flooding = await Promise.all(BOTH.map((path) => connected(hub, path)));
  const silent = await Promise.all(BOTH.map((path) => connected(hub, path)));
  for (const { socket } of silent) socket.pause();
  const patient = await Promise.all(BOTH.map((path) => connected(hub, path)));
  const ping = frame(0x89, 'x'.repeat(100));
  const pings = repeated(1_000, ping);
  for (let sent = 0; sent < PINGS; sent += 1_000) {
    for (const socket of [...flooding, ...silent]) await socket.write(pings);
  }
  for (let sent = 1; sent <= ANSWERED; sent += 1) {
    for (const socket of patient) await socket.write(ping);
    await until(() => patient.every(({ counts }) => counts.pong === sent));
  }
  await check();
  const seen = await Promise.all(flooding.map(({ closed }) => closed));
  expect(seen).toEqual([1006, 1006]);
  // The flooding sockets are closed; those that waited for each pong are connected, like those from before.
  for (const { socket } of silent) socket.resume();
  await until(() => hub.connections === 2 + patient.length);
  const grown = heldMiB() - before;
  expect(grown).toBeLessThan(32);
  table.add({
    row: 25,
    fault: `${PINGS} pings at once on each socket, pongs read or not; ${ANSWERED} pings one by one`,
    expected: 'floods cut off, the others answered, memory bounded',
    seen: `cut off (${seen.join(', ')}); ${patient.map(({ counts }) => counts.pong).join(' and ')} pongs`,
    detail: `${growth(grown)}, others served`,
  });
}

export function badFrames(table: FaultTable): void {
  it('25: malformed frames are answered with the right close code', () => malformed(table));
  it('25: a flood of pings does not disturb other connections', () => pingFlood(table));
}

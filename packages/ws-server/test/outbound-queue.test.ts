import type { TaskEvent } from '@agent-orchestrator/core';
import { ManualClock } from '@agent-orchestrator/core/testing';
import { describe, expect, it } from 'vitest';
import { EventFrame } from '../src/events/event-frame.js';
import { JSON_FRAMES, OutboundQueue, type OutboundLimits } from '../src/client-socket/outbound-queue.js';

/** A socket whose reader takes a frame only when the test says so. */
class StuckSocket {
  readonly frames: { readonly text: string; readonly sent: () => void }[] = [];
  readonly taken: string[] = [];
  get unsentBytes(): number {
    return this.frames.reduce((sum, frame) => sum + Buffer.byteLength(frame.text), 0);
  }
  send(text: string | Buffer, sent: () => void): void {
    this.frames.push({ text: text.toString(), sent });
  }
  take(): void {
    const frame = this.frames.shift();
    if (!frame) return;
    this.taken.push(frame.text);
    frame.sent();
  }
  takeAll(): Record<string, unknown>[] {
    while (this.frames.length > 0) this.take();
    return this.taken.map((text) => JSON.parse(text) as Record<string, unknown>);
  }
}

const KIB = 1024;
const LIMITS: OutboundLimits = { coalesceBytes: 1024 * KIB, maxBytes: 4096 * KIB, maxAgeMs: 10_000 };
let seq = 0;

function queueOf(socket: StuckSocket, tooSlow: () => void = () => undefined, clock = new ManualClock()) {
  return new OutboundQueue({ socket, clock, limits: LIMITS, format: JSON_FRAMES }, tooSlow);
}

function event(name: TaskEvent['event'], taskId: string, rev: number, bytes = 100): EventFrame {
  seq += 1;
  return new EventFrame({
    event: name,
    service: 'orchestrator',
    task_id: taskId,
    tenant_id: 'acme',
    timestamp: '2026-01-31T10:00:00.000Z',
    data: 'x'.repeat(bytes),
    metadata: {},
    rev,
    cursor: `e1:${seq}`,
  } as TaskEvent);
}

describe('OutboundQueue', () => {
  it('sends in order, whatever is stuck in between', () => {
    const socket = new StuckSocket();
    const queue = queueOf(socket);
    for (let rev = 1; rev <= 20; rev += 1) queue.event(event('task_status_update', 'a', rev, 30 * KIB));
    expect(socket.frames.length).toBeLessThan(5);
    expect(socket.takeAll().map((frame) => frame['rev'])).toEqual(
      Array.from({ length: 20 }, (_, index) => index + 1),
    );
    queue.end();
  });

  it('above the mark coalesces progress of a task to the latest, with its start', () => {
    const socket = new StuckSocket();
    const queue = queueOf(socket);
    for (let rev = 1; rev <= 11; rev += 1) queue.event(event('task_status_update', 'filler', rev, 100 * KIB));
    queue.event(event('task_status_update', 'a', 3));
    queue.event(event('task_status_update', 'a', 4));
    queue.event(event('task_status_update', 'b', 2));
    queue.event(event('task_status_update', 'a', 5));
    queue.event(event('task_completed', 'a', 6));
    queue.event(event('task_started', 'b', 3));
    queue.event(event('task_status_update', 'b', 4));
    const frames = socket.takeAll().filter((frame) => frame['task_id'] !== 'filler');
    const seen = frames.map((frame) => [frame['task_id'], frame['rev'], frame['coalesced_from']]);
    expect(seen).toEqual([
      ['b', 2, undefined],
      ['a', 5, 3],
      ['a', 6, undefined],
      ['b', 3, undefined],
      ['b', 4, undefined],
    ]);
    queue.end();
  });

  it('keeps every final event and the order of cursors while it coalesces', () => {
    const socket = new StuckSocket();
    const queue = queueOf(socket);
    for (let round = 1; round <= 40; round += 1) {
      for (const task of ['a', 'b', 'c']) queue.event(event('task_status_update', task, round, 20 * KIB));
    }
    for (const task of ['a', 'b', 'c']) queue.event(event('task_failed', task, 41));
    const frames = socket.takeAll();
    expect(frames.filter((frame) => frame['event'] === 'task_failed')).toHaveLength(3);
    const positions = frames.map((frame) => Number((frame['cursor'] as string).split(':')[1]));
    expect(positions).toEqual(positions.toSorted((one, other) => one - other));
    for (const task of ['a', 'b', 'c']) {
      let next = 1;
      for (const frame of frames.filter((candidate) => candidate['task_id'] === task)) {
        expect((frame['coalesced_from'] as number | undefined) ?? frame['rev']).toBe(next);
        next = (frame['rev'] as number) + 1;
      }
      expect(next).toBe(42);
    }
    queue.end();
  });

  it('gives up above its size, once', () => {
    let givenUp = 0;
    const queue = queueOf(new StuckSocket(), () => (givenUp += 1));
    for (let rev = 1; rev <= 60; rev += 1) queue.event(event('task_completed', `task-${rev}`, 1, 100 * KIB));
    expect(givenUp).toBe(1);
    expect(queue.unsentBytes).toBeLessThan(200 * KIB);
  });

  it('gives up on a frame that waited too long, and no sooner', async () => {
    const clock = new ManualClock();
    const socket = new StuckSocket();
    let givenUp = 0;
    const queue = queueOf(socket, () => (givenUp += 1), clock);
    queue.control({ event: 'heartbeat', cursor: 'e1:1' });
    await clock.advance(6_000);
    queue.control({ event: 'heartbeat', cursor: 'e1:2' });
    socket.take();
    await clock.advance(9_999);
    expect(givenUp).toBe(0);
    await clock.advance(1);
    expect(givenUp).toBe(1);
    expect(clock.nextAt).toBeUndefined();
  });

  it('reports when there is room again', async () => {
    const socket = new StuckSocket();
    const queue = queueOf(socket);
    await queue.room();
    for (let rev = 1; rev <= 11; rev += 1)
      queue.event(event('task_completed', `task-${rev}`, rev, 100 * KIB));
    let room = false;
    const waiting = queue.room().then(() => (room = true));
    await Promise.resolve();
    expect(room).toBe(false);
    socket.takeAll();
    await waiting;
    queue.end();
  });
});

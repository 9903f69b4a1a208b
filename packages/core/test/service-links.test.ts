import { describe, expect, it } from 'vitest';
import { ServiceLinks } from '../src/intake/service-links.js';
import { MemoryStorage } from '../src/index.js';
import type { HubFrame } from '../src/protocol/service-socket.js';
import { ManualClock } from './harness.js';

function outcome(data: unknown, taskId = 'task'): HubFrame {
  return {
    event: 'task_completed',
    service: 'query',
    task_id: taskId,
    global_task_id: taskId,
    tenant_id: 'acme',
    timestamp: '2026-01-31T10:00:00.000Z',
    data,
    metadata: {},
  } as HubFrame;
}

function setUp() {
  const clock = new ManualClock();
  const timers = new Set<() => void>();
  // Counts the timers that are set.
  const counting = {
    now: () => clock.now(),
    monotonic: () => clock.monotonic(),
    after(ms: number, callback: () => void) {
      const cancel = clock.after(ms, () => {
        timers.delete(cancel);
        callback();
      });
      timers.add(cancel);
      return () => {
        timers.delete(cancel);
        cancel();
      };
    },
  };
  const links = new ServiceLinks({ storage: new MemoryStorage({ clock }), clock: counting });
  const connect = (service: string) => {
    const got: HubFrame[] = [];
    const detach = links.attach({ id: 'one', service, send: (frame) => got.push(frame) });
    return { got, detach };
  };
  return { clock, links, timers, connect };
}

describe('outcomes for a disconnected service', () => {
  it('wait for a minute, and leave nothing behind', async () => {
    const { clock, links, timers, connect } = setUp();
    links.deliver('query', outcome(1));
    await clock.advance(30_000);
    links.deliver('query', outcome(2));
    links.deliver('other', outcome(3));
    await clock.advance(40_000);
    expect(connect('query').got.map((frame) => 'data' in frame && frame.data)).toEqual([2]);
    expect(timers.size).toBe(1);
    await clock.advance(30_000);
    expect(timers.size).toBe(0);
    expect(connect('other').got).toEqual([]);
  });

  it('are bounded in number and bytes by service, and those of one displace none of another', () => {
    const { links, connect } = setUp();
    links.deliver('quiet', outcome('kept'));
    for (let n = 0; n < 1_005; n += 1) links.deliver('query', outcome(n));
    for (let n = 0; n < 20; n += 1) links.deliver('large', outcome('x'.repeat(1024 * 1024)));
    const { got } = connect('query');
    expect(got).toHaveLength(1_000);
    expect(got[0]).toMatchObject({ data: 5 });
    expect(connect('large').got).toHaveLength(15);
    expect(connect('quiet').got).toHaveLength(1);
  });

  it('are dropped when the process stops', () => {
    const { links, timers, connect } = setUp();
    links.deliver('query', outcome(1));
    links.stop();
    expect(timers.size).toBe(0);
    expect(connect('query').got).toEqual([]);
  });
});

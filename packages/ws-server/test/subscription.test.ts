import { type TaskEvent, type TenantHandle } from '@agent-orchestrator/core';
import { silentLogger } from '@agent-orchestrator/core/server';
import { type LogGap } from '@agent-orchestrator/core/storage';
import { ManualClock } from '@agent-orchestrator/core/testing';
import { describe, expect, it } from 'vitest';
import type { EventFrame } from '../src/events/event-frame.js';
import { Subscription, type SubscriptionSink } from '../src/client-socket/subscription.js';
import { TenantFeed } from '../src/client-socket/tenant-feed.js';

const TASK = '0b5c9d3e-1111-4222-8333-944455556666';
const OTHER = '0b5c9d3e-1111-4222-8333-944455557777';

/** What a frame is and where in the log: `gap e1:1-e1:5`. */
function nameOf(frame: Record<string, unknown>): string {
  const { event, cursor, from, to } = frame as Record<string, string | undefined>;
  return `${event} ${cursor ?? `${from}-${to}`}`;
}

/** A tenant's event log in the test's hands: it can be cut off at the front and begin a new epoch. */
class LogInHand {
  epoch = 'e1';
  first = 1;
  opened = 0;
  readonly #events: TaskEvent[] = [];
  readonly #wakeups = new Set<() => void>();

  get head(): string {
    return `${this.epoch}:${this.#events.length}`;
  }

  add(taskId = TASK): void {
    const seq = this.#events.length + 1;
    this.#events.push({
      event: 'task_status_update',
      service: 'orchestrator',
      task_id: taskId,
      global_task_id: taskId,
      tenant_id: 'acme',
      timestamp: '2026-01-31T10:00:00.000Z',
      data: { status: 'progress', details: { seq } },
      metadata: {},
      rev: seq,
      cursor: `${this.epoch}:${seq}`,
    });
    for (const wakeup of this.#wakeups) wakeup();
  }

  /** Everything so far is lost, and the numbers begin anew. */
  lose(): void {
    this.epoch = 'e2';
    this.#events.length = 0;
    for (const wakeup of this.#wakeups) wakeup();
  }

  async *read(after: string, signal: AbortSignal): AsyncGenerator<TaskEvent | LogGap> {
    this.opened += 1;
    let [epoch, at] = [after.split(':')[0], Number(after.split(':')[1])];
    while (!signal.aborted) {
      if (epoch !== this.epoch || at + 1 < this.first || at > this.#events.length) {
        const to = `${this.epoch}:${epoch === this.epoch ? this.first - 1 : 0}`;
        yield { event: 'gap', from: `${epoch}:${at}`, to };
        [epoch, at] = [this.epoch, Number(to.split(':')[1])];
      }
      const next = this.#events[at];
      if (next) {
        at += 1;
        yield next;
      } else {
        await new Promise<void>((resolve) => {
          this.#wakeups.add(resolve);
          signal.addEventListener('abort', () => resolve(), { once: true });
        });
      }
    }
  }
}

class Reader implements SubscriptionSink {
  readonly frames: Record<string, unknown>[] = [];
  #wakeup: () => void = () => undefined;
  control(frame: object): void {
    this.frames.push(frame as Record<string, unknown>);
    this.#wakeup();
  }
  event(frame: EventFrame): void {
    this.control(frame.event);
  }
  async room(): Promise<void> {}
  failed(_: Subscription, error: unknown): void {
    this.control({ event: 'error', error });
  }
  async until(count: number): Promise<readonly string[]> {
    while (this.frames.length < count) await new Promise<void>((resolve) => (this.#wakeup = resolve));
    return this.frames.map((frame) => nameOf(frame));
  }
}

function setUp(clock = new ManualClock()) {
  const log = new LogInHand();
  const tenant = {
    tenantId: 'acme',
    events: {
      snapshot: () => Promise.resolve({ snapshot: { counts: {} }, cursor: log.head }),
      log: ({ after, signal }: { after: string; signal: AbortSignal }) => log.read(after, signal),
    },
  } as unknown as TenantHandle;
  const feed = new TenantFeed(tenant, { logger: silentLogger, clock, delivered: () => {} });
  const subscribe = (after?: string) => {
    const reader = new Reader();
    const subscription = new Subscription({
      id: 's',
      topic: { task_id: TASK },
      tenant,
      feed,
      clock,
      sink: reader,
    });
    void subscription.start(after);
    return { reader, subscription };
  };
  return { log, feed, subscribe };
}

describe('Subscription', () => {
  it('begins with the snapshot, then has each event once, in order, of its topic only', async () => {
    const { log, feed, subscribe } = setUp();
    log.add();
    const { reader } = subscribe();
    await reader.until(1);
    log.add(OTHER);
    log.add();
    log.add();
    expect(await reader.until(3)).toEqual([
      'subscribed e1:1',
      'task_status_update e1:3',
      'task_status_update e1:4',
    ]);
    feed.stop();
  });

  it('sends the snapshot, then the events after a cursor, and joins the feed once it has caught up', async () => {
    const { log, feed, subscribe } = setUp();
    for (let n = 0; n < 5; n += 1) log.add();
    await feed.started;
    const first = subscribe('e1:2');
    expect(await first.reader.until(4)).toEqual([
      'subscribed e1:5',
      'task_status_update e1:3',
      'task_status_update e1:4',
      'task_status_update e1:5',
    ]);
    const opened = log.opened;
    const second = subscribe('e1:5');
    await second.reader.until(1);
    log.add();
    expect((await first.reader.until(5)).at(-1)).toBe('task_status_update e1:6');
    expect((await second.reader.until(2)).at(-1)).toBe('task_status_update e1:6');
    expect(log.opened).toBe(opened);
    feed.stop();
  });

  it('reports a gap for a cursor of another epoch, one ahead of the head, and one beyond the retention', async () => {
    const { log, feed, subscribe } = setUp();
    for (let n = 0; n < 5; n += 1) log.add();
    await feed.started;
    expect(await subscribe('e9:2').reader.until(2)).toEqual(['subscribed e1:5', 'gap e9:2-e1:5']);
    expect(await subscribe('e1:7').reader.until(2)).toEqual(['subscribed e1:5', 'gap e1:7-e1:5']);
    log.first = 4;
    const { reader } = subscribe('e1:1');
    expect(await reader.until(2)).toEqual(['subscribed e1:5', 'gap e1:1-e1:5']);
    log.add();
    expect((await reader.until(3)).at(-1)).toBe('task_status_update e1:6');
    feed.stop();
  });

  it('reports a gap when the log is lost while it follows, and continues', async () => {
    const { log, feed, subscribe } = setUp();
    for (let n = 0; n < 5; n += 1) log.add();
    const { reader, subscription } = subscribe();
    await reader.until(1);
    log.lose();
    expect((await reader.until(2)).at(-1)).toBe('gap e1:5-e2:0');
    log.add();
    expect((await reader.until(3)).at(-1)).toBe('task_status_update e2:1');
    expect(subscription.position).toEqual({ epoch: 'e2', seq: 1 });
    feed.stop();
  });

  it('is silent once it has ended', async () => {
    const { log, feed, subscribe } = setUp();
    const ending = subscribe();
    const staying = subscribe();
    await Promise.all([ending.reader.until(1), staying.reader.until(1)]);
    ending.subscription.end();
    log.add();
    await staying.reader.until(2);
    expect(ending.reader.frames).toHaveLength(1);
    feed.stop();
  });
});

import { afterEach, describe, expect, it } from 'vitest';
import { type Ack, type NotifierTransport, type OutgoingNotification, TaskNotifier } from '../src/index.js';

/** A hub of which the test decides what it answers, and when. */
class Hub implements NotifierTransport {
  readonly sent: OutgoingNotification[] = [];
  answer: (notification: OutgoingNotification) => Promise<Partial<Ack>> = async () => ({
    outcome: 'applied',
  });

  async send(notification: OutgoingNotification): Promise<Ack> {
    this.sent.push(notification);
    const ack = await this.answer(notification);
    return { event: 'ack', message_id: notification.message_id, outcome: 'applied', ...ack } as Ack;
  }

  onFrame() {
    return () => {};
  }

  async close() {}
}

const open: TaskNotifier[] = [];
function notifier(transport: NotifierTransport, options: object = {}) {
  const made = new TaskNotifier({ serviceName: 'query', transport, ...options });
  open.push(made);
  return made;
}
afterEach(() => Promise.all(open.splice(0).map((each) => each.close())));

const about = { task_id: 'job-1', tenant_id: 'acme' };

describe('TaskNotifier', () => {
  it('sends the frames of the protocol', async () => {
    const hub = new Hub();
    const service = notifier(hub);
    await service.notifyTaskStatus({ ...about, status: 'on it', details: { percent: 5 } });
    await service.notifyTaskCompletion({ ...about, result: 0, metadata: { usage: { tokens: 1 } } });
    await service.notifyTaskFailure({ ...about, error: new RangeError('too far'), retryable: true });
    expect(hub.sent).toMatchObject([
      {
        event: 'task_status_update',
        service: 'query',
        ...about,
        data: { status: 'on it', details: { percent: 5 } },
      },
      { event: 'task_completed', data: 0, metadata: { usage: { tokens: 1 } } },
      { event: 'task_failed', data: { error: 'too far', error_type: 'RangeError', retryable: true } },
    ]);
    for (const { message_id, timestamp } of hub.sent) {
      expect(message_id).toMatch(/^[\w-]{22}$/);
      expect(Date.parse(timestamp ?? '')).not.toBeNaN();
    }
  });

  it('sends again what was not acknowledged, with the same id', async () => {
    const hub = new Hub();
    let failures = 2;
    hub.answer = async () => {
      failures -= 1;
      if (failures === 1) throw new Error('link lost');
      return failures === 0 ? { outcome: 'retry_later', retry_after_ms: 1 } : { outcome: 'applied' };
    };
    const ack = await notifier(hub).notifyTaskCompletion({ ...about, result: 1 });
    expect(ack.outcome).toBe('applied');
    expect(hub.sent).toHaveLength(3);
    expect(new Set(hub.sent.map(({ message_id }) => message_id)).size).toBe(1);
  });

  it('replaces progress that was not sent yet, never anything final', async () => {
    const hub = new Hub();
    const gates: (() => void)[] = [];
    hub.answer = () => new Promise((resolve) => gates.push(() => resolve({ outcome: 'applied' })));
    const service = notifier(hub, { window: 1 });
    const all = [
      service.notifyTaskStatus({ ...about, status: 'first' }),
      service.notifyTaskStatus({ ...about, status: 'second' }),
      service.notifyTaskStatus({ ...about, task_id: 'job-2', status: 'other' }),
      service.notifyTaskStatus({ ...about, status: 'third' }),
      service.notifyTaskCompletion({ ...about, result: 1 }),
    ];
    for (let open = 0; open < 4; open += 1) {
      while (gates.length === 0) await new Promise((resolve) => setImmediate(resolve));
      gates.shift()?.();
    }
    await Promise.all(all);
    expect(
      hub.sent.map(({ task_id, data }) => [task_id, (data as { status?: string }).status ?? 'done']),
    ).toEqual([
      ['job-1', 'first'],
      ['job-1', 'third'],
      ['job-2', 'other'],
      ['job-1', 'done'],
    ]);
  });

  it('is bounded, and says so', async () => {
    const hub = new Hub();
    hub.answer = () => new Promise(() => {});
    const service = notifier(hub, { maxMessages: 2, window: 1 });
    const results = [1, 2, 3].map((result) => service.notifyTaskCompletion({ ...about, result }));
    await expect(results[2]).rejects.toMatchObject({ code: 'outbox_full' });
    expect(service.pending).toBe(2);
    await service.close();
    await expect(results[0]).rejects.toMatchObject({ code: 'not_running' });
    await expect(service.notifyTaskCompletion({ ...about, result: 1 })).rejects.toMatchObject({
      code: 'not_running',
    });
  });

  it('refuses what is too large before it is queued', async () => {
    const service = notifier(new Hub());
    await expect(
      service.notifyTaskCompletion({ ...about, result: 'x'.repeat(1024 * 1024) }),
    ).rejects.toMatchObject({
      code: 'payload_too_large',
    });
    expect(service.pending).toBe(0);
  });

  it('drains until everything is acknowledged, or the wait is given up', async () => {
    const hub = new Hub();
    let release = () => {};
    hub.answer = () => new Promise((resolve) => (release = () => resolve({ outcome: 'applied' })));
    const service = notifier(hub);
    void service.notifyTaskCompletion({ ...about, result: 1 });
    await service.drain({ signal: AbortSignal.timeout(5) });
    expect(service.pending).toBe(1);
    release();
    await service.drain();
    expect(service.pending).toBe(0);
  });
});

import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { type JsonValue, OrchestratorError, TaskNotifier } from '../src/index.js';
import { type Ack } from '../src/protocol/index.js';
import { type NotifierTransport, type OutgoingNotification } from '../src/server.js';
import type { TransportOwner } from '../src/notifier/transport.js';

interface Sent {
  readonly event: string;
  readonly task_id: string;
  readonly message_id: string;
  readonly seq: number;
  readonly timestamp: string;
  readonly data: unknown;
}

/** A hub of which the test decides what it answers, and when. */
class Hub implements NotifierTransport {
  readonly sent: Sent[] = [];
  owner: TransportOwner | undefined;
  answer: (notification: Sent) => Promise<Partial<Ack>> = async () => ({});

  constructor(
    readonly inOrder = true,
    private readonly up = true,
  ) {}

  open(owner: TransportOwner) {
    this.owner = owner;
    if (this.up) owner.onLink({ state: 'connected' });
  }

  async send({ message_id, text }: OutgoingNotification): Promise<Ack> {
    const frame = JSON.parse(text) as Sent;
    this.sent.push(frame);
    const ack = await this.answer(frame);
    return { event: 'ack', message_id, outcome: 'applied', ...ack };
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

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

describe('TaskNotifier', () => {
  it('reports any failure, in texts that the hub accepts', async () => {
    const hub = new Hub();
    const service = notifier(hub);
    const PAIR = '\u{1f600}';
    const errors: unknown[] = [
      new Error(`x${PAIR.repeat(10_000)}`),
      new Error('half \ud83d'),
      undefined,
      Object.create(null),
      { toString: () => null as unknown as string },
    ];
    for (const error of errors) await service.notifyTaskFailure({ ...about, error });
    await service.notifyTaskFailure({ ...about, error: 'no', error_type: PAIR.repeat(300) });
    for (const { data } of hub.sent as unknown as { data: { error: string; error_type: string } }[]) {
      expect(data.error.length).toBeLessThanOrEqual(10_000);
      expect(data.error_type.length).toBeLessThanOrEqual(200);
      expect([data.error.isWellFormed(), data.error_type.isWellFormed()]).toEqual([true, true]);
    }
    expect(hub.sent).toHaveLength(errors.length + 1);
  });

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
      expect(Date.parse(timestamp)).not.toBeNaN();
    }
  });

  it('resends notifications without an ack, with the same id', async () => {
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

  it('replaces unsent progress, never a final report', async () => {
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

  it('is bounded, and refuses beyond the limit', async () => {
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

  it('refuses too large notifications before they are queued', async () => {
    const service = notifier(new Hub());
    await expect(
      service.notifyTaskCompletion({ ...about, result: 'x'.repeat(1024 * 1024) }),
    ).rejects.toMatchObject({
      code: 'payload_too_large',
    });
    expect(service.pending).toBe(0);
  });

  it('drains until all are acknowledged, or the wait is aborted', async () => {
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

describe('the order of a job', () => {
  it('holds later notifications while an earlier one waits for its resend', async () => {
    const hub = new Hub();
    let failures = 1;
    hub.answer = async ({ task_id }) => {
      if (task_id !== 'job-1') return {};
      failures -= 1;
      // It rests for so long: jitter could be over before the others are reported.
      if (failures >= 0) throw new OrchestratorError('service_unavailable', 'no ack', { retryAfterMs: 500 });
      return {};
    };
    const service = notifier(hub);
    const first = service.notifyTaskStatus({ ...about, status: 'first' });
    await turn();
    const later = [
      service.notifyTaskCompletion({ ...about, result: 'last' }),
      service.notifyTaskCompletion({ ...about, task_id: 'job-2', result: 'other' }),
    ];
    await Promise.all([first, ...later]);
    expect(hub.sent.map(({ data }) => (data as { status?: string }).status ?? data)).toEqual([
      'first',
      'other',
      'first',
      'last',
    ]);
  });

  it('is kept after several failed sends', async () => {
    const hub = new Hub();
    const fail: ((error: Error) => void)[] = [];
    hub.answer = () =>
      fail.length < 3 ? new Promise((_, reject) => fail.push(reject)) : Promise.resolve({});
    const service = notifier(hub, { window: 3, retryBaseMs: 30, retryCapMs: 30 });
    const acks = ['a', 'b', 'c', 'd', 'e'].map((result) =>
      service.notifyTaskCompletion({ ...about, result }),
    );
    for (const which of [1, 0, 2]) {
      // It rests for so long: jitter could be over before the last one has failed.
      fail[which]?.(new OrchestratorError('service_unavailable', 'no ack', { retryAfterMs: 1_000 }));
      await turn();
    }
    await Promise.all(acks);
    expect(hub.sent.map(({ data }) => data).join('')).toBe('abcabcde');
  });

  it('is kept when the window has room during the back-off', async () => {
    const hub = new Hub();
    const gates: { take: () => void; fail: () => void }[] = [];
    hub.answer = () => {
      if (gates.length >= 2) return Promise.resolve({});
      return new Promise((resolve, reject) =>
        gates.push({ take: () => resolve({}), fail: () => reject(new Error('no ack in time')) }),
      );
    };
    const service = notifier(hub, { window: 2, retryBaseMs: 30, retryCapMs: 30 });
    const acks = ['a', 'b', 'c'].map((result) => service.notifyTaskCompletion({ ...about, result }));
    gates[0]?.fail();
    await turn();
    gates[1]?.take();
    await Promise.all(acks);
    expect(hub.sent.map(({ data }) => data).join('')).toBe('abac');
  });

  it('follows the sequence numbers, which never decrease', async () => {
    const hub = new Hub();
    const service = notifier(hub);
    const before = Date.now();
    for (let n = 0; n < 50; n += 1) await service.notifyTaskCompletion({ ...about, result: n });
    const seqs = hub.sent.map(({ seq }) => seq);
    expect(seqs).toEqual([...new Set(seqs)].toSorted((a, b) => a - b));
    expect(seqs[0]).toBeGreaterThanOrEqual(before);
  });

  it('survives a hub that defers and fails at random; without order each job has one at a time', async () => {
    const behaviours = fc.array(fc.constantFrom('take', 'take', 'later', 'fail'), { maxLength: 40 });
    const plan = fc.array(fc.record({ job: fc.integer({ min: 0, max: 3 }), progress: fc.boolean() }), {
      minLength: 1,
      maxLength: 30,
    });
    const property = fc.asyncProperty(
      plan,
      behaviours,
      fc.boolean(),
      fc.integer({ min: 1, max: 5 }),
      async (jobs, script, inOrder, window) => {
        const hub = new Hub(inOrder);
        const taken: Sent[] = [];
        const inFlight = new Map<string, number>();
        let [most, mostOfOne] = [0, 0];
        hub.answer = async (frame) => {
          const { task_id: job } = frame;
          inFlight.set(job, (inFlight.get(job) ?? 0) + 1);
          mostOfOne = Math.max(mostOfOne, inFlight.get(job) ?? 0);
          most = Math.max(
            most,
            [...inFlight.values()].reduce((sum, n) => sum + n),
          );
          await turn();
          inFlight.set(job, (inFlight.get(job) ?? 0) - 1);
          const does = script.shift() ?? 'take';
          if (does === 'fail') throw new Error('no ack in time');
          if (does === 'later') return { outcome: 'retry_later', retry_after_ms: 1 };
          taken.push(frame);
          return {};
        };
        const service = notifier(hub, { window, retryBaseMs: 1, retryCapMs: 2 });
        const acks = jobs.map(({ job, progress }, n) => {
          const which = { task_id: `job-${job}`, tenant_id: 'acme' };
          return progress
            ? service.notifyTaskStatus({ ...which, status: `${n}` })
            : service.notifyTaskCompletion({ ...which, result: n });
        });
        await Promise.all(acks);
        expect(service.pending).toBe(0);
        expect(most).toBeLessThanOrEqual(window);
        expect(mostOfOne).toBeLessThanOrEqual(inOrder ? window : 1);
        const finals = taken.filter(({ event }) => event === 'task_completed');
        expect(finals).toHaveLength(jobs.filter(({ progress }) => !progress).length);
        const firstTries = new Map(hub.sent.map((frame) => [frame.message_id, frame] as const));
        for (const frames of [[...firstTries.values()], ...(inOrder ? [] : [taken])]) {
          for (const job of ['job-0', 'job-1', 'job-2', 'job-3']) {
            const seqs = frames.filter(({ task_id }) => task_id === job).map(({ seq }) => seq);
            expect(seqs).toEqual(seqs.toSorted((a, b) => a - b));
          }
        }
        await service.close();
      },
    );
    await fc.assert(property, { numRuns: 150 });
  });
});

describe('the outbox', () => {
  it('sends nothing new without a link, and coalesces progress meanwhile', async () => {
    const hub = new Hub(true, false);
    const service = notifier(hub);
    const acks = ['a', 'b', 'c'].map((status) => service.notifyTaskStatus({ ...about, status }));
    await turn();
    expect([hub.sent.length, service.pending]).toEqual([0, 1]);
    hub.owner?.onLink({ state: 'connected' });
    await Promise.all(acks);
    expect(hub.sent.map(({ data }) => data)).toEqual([{ status: 'c', details: {} }]);
  });

  it('drops progress for an outcome at the limit', async () => {
    const hub = new Hub(true, false);
    const service = notifier(hub, { maxMessages: 2 });
    const progress = service.notifyTaskStatus({ ...about, status: 'half' });
    const other = service.notifyTaskStatus({ ...about, task_id: 'job-2', status: 'half' });
    const done = service.notifyTaskCompletion({ ...about, result: 1 });
    await expect(service.notifyTaskCompletion({ ...about, result: 2 })).rejects.toMatchObject({
      code: 'outbox_full',
    });
    hub.owner?.onLink({ state: 'connected' });
    expect(await progress).toBe(await done);
    await other;
    expect(hub.sent).toHaveLength(2);
  });

  it('counts bytes', async () => {
    const service = notifier(new Hub(true, false), { maxBytes: 2_000 });
    void service.notifyTaskCompletion({ ...about, result: 'x'.repeat(1_200) });
    await expect(service.notifyTaskCompletion({ ...about, result: 'x'.repeat(1_200) })).rejects.toMatchObject(
      { code: 'outbox_full' },
    );
    await service.close();
    expect(service.pending).toBe(0);
  });

  it('stores a copy of the report', async () => {
    const hub = new Hub(true, false);
    const service = notifier(hub);
    const result = { answer: 1 };
    const acked = service.notifyTaskCompletion({ ...about, result });
    result.answer = 2;
    hub.owner?.onLink({ state: 'connected' });
    await acked;
    expect(hub.sent[0]?.data).toEqual({ answer: 1 });
  });
});

describe('a notification that cannot be sent', () => {
  it.each([
    ['a cycle', () => Object.assign([], { 0: null }) as JsonValue, true],
    ['more than 32 levels', () => JSON.parse('['.repeat(40) + ']'.repeat(40)) as JsonValue, false],
    ['a key of prototypes', () => JSON.parse('{"__proto__":1}') as JsonValue, false],
  ])('is refused at once: %s', async (_, make, cyclic) => {
    const hub = new Hub();
    const service = notifier(hub);
    const result = make();
    if (cyclic) (result as JsonValue[])[0] = result;
    await expect(service.notifyTaskCompletion({ ...about, result })).rejects.toMatchObject({
      code: 'invalid_message',
    });
    expect([service.pending, hub.sent.length]).toEqual([0, 0]);
  });

  it('is dropped when the transport gives up on it', async () => {
    const hub = new Hub();
    hub.answer = () => Promise.reject(new OrchestratorError('payload_too_large', 'expected less'));
    const service = notifier(hub);
    await expect(service.notifyTaskCompletion({ ...about, result: 1 })).rejects.toMatchObject({
      code: 'payload_too_large',
    });
    expect([service.pending, hub.sent.length]).toEqual([0, 1]);
  });

  it('or is not accepted, emits an event', async () => {
    const hub = new Hub();
    const service = notifier(hub);
    const received: string[] = [];
    service.on('not_taken', ({ ack, notification }) => received.push(ack.outcome, notification.message_id));
    for (const outcome of ['invalid', 'applied', 'unknown_task', 'late', 'forbidden'] as const) {
      hub.answer = async () => ({ outcome });
      await service.notifyTaskCompletion({ ...about, result: 1 });
    }
    expect(received.filter((_, n) => n % 2 === 0)).toEqual(['invalid', 'unknown_task', 'forbidden']);
    expect(received[1]).toBe(hub.sent[0]?.message_id);
  });
});

describe('the link', () => {
  const error = new OrchestratorError('unauthorized', 'no');

  it('can be awaited', async () => {
    const hub = new Hub(true, false);
    const service = notifier(hub);
    const ready = service.ready();
    hub.owner?.onLink({ state: 'disconnected', reason: 'not yet', retryInMs: 1 });
    hub.owner?.onLink({ state: 'connected' });
    await ready;
    hub.owner?.onLink({ state: 'refused', error, retryInMs: 1 });
    await expect(service.ready()).rejects.toBe(error);
    hub.owner?.onLink({ state: 'disconnected', reason: 'away' });
    await expect(service.ready({ signal: AbortSignal.timeout(5) })).rejects.toMatchObject({
      name: 'TimeoutError',
    });
    const closed = service.ready();
    await service.close();
    await expect(closed).rejects.toMatchObject({ code: 'not_running' });
  });

  it('emits its changes', () => {
    const hub = new Hub(true, false);
    const received: unknown[] = [];
    const listener = (state: unknown) => received.push(state);
    const service = notifier(hub).on('connected', listener).on('disconnected', listener);
    service.on('refused', listener);
    const states = [
      { state: 'connected', connectionId: 'c' },
      { state: 'disconnected', reason: 'away' },
      { state: 'refused', error, retryInMs: 1 },
    ] as const;
    for (const state of states) hub.owner?.onLink(state);
    service.off('connected', listener);
    hub.owner?.onLink({ state: 'connected' });
    expect(received).toEqual(states);
  });
});

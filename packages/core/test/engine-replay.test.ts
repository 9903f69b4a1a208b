import { afterAll, describe, expect, it } from 'vitest';
import { COMMANDS } from '../src/engine/commands.js';
import { runCase, storageConformance, titleOf } from '../src/conformance/index.js';
import { copyField } from '../src/protocol/known-text.js';
import { parseJsonInPortions } from '../src/protocol/portioned-json.js';
import type { Claim, Runnable, Submission } from '../src/storage/index.js';
import type { JsonValue } from '../src/index.js';
import { dump } from './engine-dump.js';
import { LoggedStorage } from './command-log.js';
import { ManualClock } from './harness.js';
import { runHistories } from './task-histories.js';

const FOR_EVER = { retentionMs: 1e12, deadLetterRetentionMs: 1e12, sessionIdleMs: 1e12 };

describe('the log of commands of a conformance case, replayed in a fresh engine', () => {
  const counts = new Map<string, number>();
  let equal = 0;
  let commands = 0;

  afterAll(() => {
    console.log(`replay: ${equal} of ${storageConformance.length} cases equal, ${commands} commands`);
    console.table(Object.fromEntries([...counts].map(([name, times]) => [name, { times }])));
  });

  it.each(storageConformance.map((one) => [titleOf(one), one] as const))('%s', async (_, one) => {
    const clock = new ManualClock();
    const logged = new LoggedStorage({ clock, limits: one.limits ?? {} });
    const { storage } = logged;
    await runCase(one, { storage, now: () => clock.now(), advance: (ms) => clock.advance(ms) });
    for (const [name, times] of logged.counts) counts.set(name, (counts.get(name) ?? 0) + times);
    logged.expectEqualReplay();
    equal += 1;
    for (const times of logged.counts.values()) commands += times;
  });

  it('covers every command', () => {
    // A storage in memory is never opened again: the tests of `FileStorage` have that command.
    const opened = new Set([...counts.keys(), 'state.reopen']);
    expect(opened).toEqual(new Set(Object.keys(COMMANDS)));
  });
});

describe('the log of commands of a random history', () => {
  it('gives the same results and the same state, byte for byte', async () => {
    let histories = 0;
    const open = async () => {
      const clock = new ManualClock();
      const logged = new LoggedStorage({ clock, limits: FOR_EVER });
      return {
        storage: logged.storage,
        now: () => clock.now(),
        advance: (ms: number) => clock.advance(ms),
        close: async () => {
          logged.expectEqualReplay();
          histories += 1;
        },
      };
    };
    await runHistories({ open, numRuns: 60, seed: 20_261_127, batches: true });
    expect(histories).toBeGreaterThanOrEqual(60);
  }, 120_000);
});

const RUNS = [{ type: 'work', versions: [1] }];

/** A storage whose log is to be replayed, with a task type `work`. */
function open(): LoggedStorage {
  return new LoggedStorage({ clock: new ManualClock() });
}

function submission(payload: JsonValue, taskId = crypto.randomUUID()): Submission {
  const task = { task_id: taskId, type: 'work', priority: 4, payload, metadata: {}, timeoutMs: 60_000 };
  return { task: { ...task, maxAttempts: 3 }, onBusy: 'enqueue' };
}

function claim({ storage }: LoggedStorage, runs: readonly Runnable[] = RUNS): Promise<readonly Claim[]> {
  const claimId = crypto.randomUUID();
  return storage.queue.claim({ workerId: 'w', claimId, max: 10, runs, leaseMs: 30_000 });
}

describe('commands', () => {
  it('survive JSON with an infinite limit', async () => {
    const logged = open();
    const { tasks, journal } = logged.storage;
    const maxWaiting = Number.POSITIVE_INFINITY;
    await tasks.submit({ tenantId: 'acme', submission: submission(1), maxWaiting });
    const { task } = submission(2);
    const call = { callId: 'c', service: 's', operation: 'o', silenceMs: Number.POSITIVE_INFINITY };
    await tasks.register({ tenantId: 'acme', task, call, maxWaiting });
    const answer = { kind: 'accepted', jobId: 'j' } as const;
    const step = { tenantId: 'acme', taskId: task.task_id, journalRev: 0, key: 'c', callId: 'c', answer };
    expect(await journal.record(step)).toMatchObject({ answer: 'recorded' });
    expect(logged.engine.state.timers.earliest).toBeLessThan(Number.MAX_SAFE_INTEGER);
    logged.expectEqualReplay();
  });

  it.each([
    ['was received in portions', async (text: string) => parseJsonInPortions(text)],
    ['has many numbers', async () => Array.from({ length: 9_000 }, (_, n) => n / 7)],
    ['has escapes and integer keys', async () => ({ b: '\u0007"'.repeat(9_000), 2: 0, 1: [] })],
  ])('survive JSON with a large value that %s', async (_, make) => {
    const logged = open();
    const { tasks, queue } = logged.storage;
    const value = await make(`{ "2": 1.0, "1": "${'x'.repeat(200_000)}", "a": [1, 2e1, -0] }`);
    await tasks.submit({ tenantId: 'acme', submission: submission(value), maxWaiting: 10 });
    const batch = { batchId: 'b', maxInFlight: 1, failFast: false, items: [submission(value)] };
    await tasks.submitBatch({ tenantId: 'acme', batch, maxWaiting: 10 });
    for (const { task, token } of await claim(logged)) {
      // The result is the payload, unread.
      const result: { kind: 'completed'; result: JsonValue } = { kind: 'completed', result: null };
      copyField(task, result, 'payload', 'result');
      const lease = { tenantId: 'acme', taskId: task.task_id, token };
      expect(await queue.settle({ ...lease, settlement: result })).toBe('settled');
    }
    logged.expectEqualReplay();
  });

  it('keep nothing that the caller may change later', async () => {
    const logged = open();
    const { tasks, journal, workers } = logged.storage;
    const runs = [{ type: 'work', versions: [1] }];
    await workers.announce({ workerId: 'w', runs });
    const error = { code: 'e', message: 'm', retryable: false, diagnostic: { stack: 'before' } };
    const batch = { batchId: 'b', maxInFlight: 1, failFast: false, items: [{ error }, submission({ a: 1 })] };
    await tasks.submitBatch({ tenantId: 'acme', batch, maxWaiting: 10 } as never);
    const [first] = await claim(logged, runs);
    if (!first) throw new Error('expected a claim');
    const lease = { tenantId: 'acme', taskId: first.task.task_id, token: first.token };
    const call = {
      callId: 'c',
      service: 's',
      operation: 'o',
      maxTries: 1,
      retryDelayMs: 1,
      silenceMs: 9_000,
    };
    const step = { key: 'k', kind: 'call', name: 's.o', call } as const;
    await journal.begin({ ...lease, journalRev: 0, step, maxSteps: 10 });
    const details = { at: 'before' };
    const body = { kind: 'status', status: 's', details } as const;
    const report = { tenantId: 'acme', service: 's', jobId: 'early', body };
    expect(await journal.report(report)).toMatchObject({ answer: 'held' });
    Object.assign(runs[0] ?? {}, { versions: [2] });
    error.diagnostic.stack = details.at = 'after';
    Object.assign(first.task.payload as object, { a: 2 });
    const answer = { kind: 'accepted', jobId: 'early' } as const;
    await journal.record({ ...lease, journalRev: 0, key: 'k', callId: 'c', answer });
    await tasks.submit({ tenantId: 'acme', submission: submission(1), maxWaiting: 10 });
    expect((await claim(logged, runs)).map(({ version }) => version)).toEqual([2]);
    logged.expectEqualReplay();
  });

  it('that refuse by throwing have changed nothing', async () => {
    const logged = open();
    const { sessions } = logged.storage;
    const field = 'x'.repeat(700_000);
    const inSession = { tenantId: 'acme', sessionId: 's' };
    const tooLarge = { code: 'payload_too_large' };
    const none = dump(logged.engine);
    await expect(sessions.create({ ...inSession, context: { a: field, b: field } })).rejects.toMatchObject(
      tooLarge,
    );
    expect(dump(logged.engine)).toBe(none);
    await sessions.create({ ...inSession, context: { a: field } });
    const created = dump(logged.engine);
    await expect(sessions.update({ ...inSession, context: { b: field } })).rejects.toMatchObject(tooLarge);
    expect(dump(logged.engine)).toBe(created);
    expect([...logged.counts.keys()]).toEqual(['sessions.create']);
    logged.expectEqualReplay();
  });

  it('publish their wakeups when they have ended', async () => {
    const logged = open();
    const { tasks, wakeups, tenants } = logged.storage;
    const ready: Promise<number>[] = [];
    wakeups.subscribe(({ kind }) => {
      if (kind === 'ready') ready.push(tenants.get({ tenantId: 'acme' }).then((stats) => stats.ready));
    });
    const items = Array.from({ length: 3 }, () => submission(0));
    const batch = { batchId: 'b', maxInFlight: 3, failFast: false, items };
    await tasks.submitBatch({ tenantId: 'acme', batch, maxWaiting: 10 });
    expect(new Set(await Promise.all(ready))).toEqual(new Set([3]));
  });
});

describe('a replay', () => {
  /** A task that has been submitted, claimed and settled. */
  async function worked(): Promise<LoggedStorage> {
    const clock = new ManualClock();
    const logged = new LoggedStorage({ clock });
    const [one] = storageConformance.filter(({ method }) => method === 'settle');
    if (!one) throw new Error('expected a case');
    const { storage } = logged;
    await runCase(one, { storage, now: () => clock.now(), advance: (ms) => clock.advance(ms) });
    return logged;
  }

  it('notices a clock that differs by a millisecond', async () => {
    const logged = await worked();
    expect(() => logged.expectEqualReplay((command) => ({ ...command, at: command.at + 1 }))).toThrow(
      /result of command/,
    );
  });

  it('notices a difference that no result shows', async () => {
    const logged = await worked();
    const other = { kind: 'completed', result: 'another' } as const;
    const changed = () =>
      logged.expectEqualReplay((command) =>
        command.name === 'queue.settle'
          ? { ...command, params: { ...command.params, settlement: other } as typeof command.params }
          : command,
      );
    expect(changed).toThrow();
  });
});

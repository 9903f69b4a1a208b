import { beforeEach, describe, expect, it } from 'vitest';
import { MemoryStorage } from '../src/index.js';
import { silentLogger } from '../src/server.js';
import { ClaimPump } from '../src/worker/claim-pump.js';
import type { Claim, ClaimParams } from '../src/storage/index.js';
import { ManualClock, settled } from './harness.js';

const SETTINGS = { workerId: 'w', concurrency: 2, prefetch: 10, leaseMs: 30_000, pollMs: 1_000 };

let clock: ManualClock;
let storage: MemoryStorage;
let asked: ClaimParams[];
let released: Claim[];
let taken: Claim[];
let freeSlots: number;
let pump: ClaimPump;

beforeEach(() => {
  clock = new ManualClock();
  storage = new MemoryStorage({ clock });
  [asked, released, taken, freeSlots] = [[], [], [], SETTINGS.concurrency];
  const claim = storage.queue.claim.bind(storage.queue);
  storage.queue.claim = (params) => {
    asked.push(params);
    return claim(params);
  };
  pump = new ClaimPump({ storage, clock, logger: silentLogger }, SETTINGS, {
    runs: () => [{ type: 'work', versions: [1] }],
    readsMessages: () => [],
    onClaims: take,
    release: (each) => void released.push(each),
  });
  storage.wakeups.subscribe((wakeup) => pump.onWakeup(wakeup));
});

/** The worker: fills its free slots. */
function take(): void {
  for (let next = pump.next(freeSlots); next; next = pump.next(freeSlots)) {
    freeSlots -= 1;
    taken.push(next.claim);
  }
}

function free(claim: Claim | undefined): void {
  if (!claim) throw new Error('expected a claim');
  freeSlots += 1;
  pump.ended(claim);
  take();
  pump.request();
}

async function submit(count: number): Promise<void> {
  for (let n = 0; n < count; n += 1) {
    const task = { task_id: crypto.randomUUID(), type: 'work', priority: 4, payload: n, metadata: {} };
    const submission = {
      task: { ...task, timeoutMs: 60_000, maxAttempts: 3 },
      onBusy: 'enqueue' as const,
    };
    await storage.tasks.submit({ tenantId: 'acme', submission, maxWaiting: 100 });
  }
}

describe('ClaimPump', () => {
  it('claims for free slots only, and again once one is free', async () => {
    await submit(5);
    const stop = new AbortController();
    const running = pump.run(stop.signal, stop.signal);
    await settled();
    expect(taken.map(({ task }) => task.payload)).toEqual([0, 1]);
    expect(asked.map(({ max }) => max)).toEqual([2]);
    free(taken[0]);
    await settled();
    expect(taken.map(({ task }) => task.payload)).toEqual([0, 1, 2]);
    expect(asked.map(({ max }) => max)).toEqual([2, 1]);
    stop.abort();
    await running;
  });

  it('claims once for all slots that are freed in one turn', async () => {
    await submit(4);
    const stop = new AbortController();
    const running = pump.run(stop.signal, stop.signal);
    await settled();
    for (const each of [...taken]) free(each);
    await settled();
    expect(taken).toHaveLength(4);
    expect(asked.map(({ max }) => max)).toEqual([2, 2]);
    stop.abort();
    await running;
  });

  it('sends nothing while the queue is drained, until a wakeup', async () => {
    const stop = new AbortController();
    const running = pump.run(stop.signal, stop.signal);
    await settled();
    const before = asked.length;
    await settled();
    expect(asked).toHaveLength(before);
    await submit(1);
    await settled();
    expect(taken).toHaveLength(1);
    stop.abort();
    await running;
  });

  it('polls once an interval without a wakeup', async () => {
    const stop = new AbortController();
    const running = pump.run(stop.signal, stop.signal);
    await settled();
    const before = asked.length;
    await clock.advance(3_500);
    expect(asked.length - before).toBe(3);
    stop.abort();
    pump.stop();
    await running;
  });

  it('prefetches by the duration of runs, and gives back what has waited for an interval', async () => {
    pump.recordDuration(1);
    await submit(20);
    const stop = new AbortController();
    const running = pump.run(stop.signal, new AbortController().signal);
    await settled();
    expect(taken).toHaveLength(2);
    expect(pump.stats.prefetched).toBe(10);
    const [first] = taken;
    free(first);
    expect(taken).toHaveLength(3);
    await clock.advance(2_000);
    free(taken[1]);
    await clock.advance(2_000);
    expect(released.length).toBeGreaterThan(0);
    const held = pump.stats.prefetched + released.length;
    stop.abort();
    await running;
    expect(pump.stats.prefetched).toBe(0);
    expect(released).toHaveLength(held);
  });

  it('sends no claim once stopped, and releases what arrives after the grace period', async () => {
    await submit(3);
    let answer = () => {};
    const { queue } = storage;
    const claim = queue.claim.bind(queue);
    queue.claim = async (params) => {
      const claims = await claim(params);
      await new Promise<void>((resolve) => (answer = resolve));
      return claims;
    };
    const [stop, graceOver] = [new AbortController(), new AbortController()];
    let hasEnded = false;
    const running = pump.run(stop.signal, graceOver.signal).then(() => (hasEnded = true));
    await settled();
    stop.abort();
    graceOver.abort();
    await settled();
    expect(hasEnded).toBe(false);
    answer();
    await running;
    expect([taken.length, released.length, asked.length]).toEqual([0, 2, 1]);
    pump.request();
    await settled();
    expect(asked).toHaveLength(1);
  });

  it('waits for the end of a task that ran before to claim the next such one', async () => {
    await submit(1);
    const stop = new AbortController();
    const { queue } = storage;
    const [first] = await queue.claim({
      ...SETTINGS,
      runs: [{ type: 'work', versions: [1] }],
      claimId: 'c',
      max: 1,
    });
    if (!first) throw new Error('expected a claim');
    await clock.advance(31_000);
    await queue.sweep({ max: 100 });
    const running = pump.run(stop.signal, stop.signal);
    await settled();
    expect(taken.map(({ task }) => task.attempt)).toEqual([2]);
    const before = asked.length;
    free(taken[0]);
    await settled();
    expect(asked.length).toBeGreaterThan(before);
    stop.abort();
    await running;
  });
});

import { describe, expect, it } from 'vitest';
import { Orchestrator } from '../src/index.js';
import { silentLogger } from '../src/server.js';
import { systemRandom } from '../src/storage/index.js';
import { MemoryStorage } from '../src/engine/memory-storage.js';
import { ServiceLinks } from '../src/intake/service-links.js';
import { Listeners } from '../src/runtime/listeners.js';
import { ContractChecks } from '../src/services/contracts.js';
import { ServiceCaller } from '../src/services/service-caller.js';
import { LeaseKeeper } from '../src/worker/lease-keeper.js';
import { Loop } from '../src/runtime/background-loop.js';
import { Sweeper } from '../src/worker/sweeper.js';
import { Worker } from '../src/worker/worker.js';
import { WorkflowCatalog } from '../src/workflows/catalog.js';
import { coins } from './coins.js';
import { ManualClock, settled } from './harness.js';

/** Counts the timers that are set and the listeners that are attached: nothing may stay behind. */
class Watched {
  readonly clock = new ManualClock();
  readonly storage: MemoryStorage;
  timers = 0;
  listeners = 0;

  constructor() {
    const after = this.clock.after.bind(this.clock);
    this.clock.after = (ms, callback) => {
      this.timers += 1;
      let set = true;
      const unset = () => {
        if (set) this.timers -= 1;
        set = false;
      };
      const cancel = after(ms, () => {
        unset();
        callback();
      });
      return () => {
        unset();
        cancel();
      };
    };
    this.storage = new MemoryStorage({ clock: this.clock });
    const subscribe = this.storage.wakeups.subscribe.bind(this.storage.wakeups);
    Object.assign(this.storage.wakeups, {
      subscribe: (listener: Parameters<typeof subscribe>[0]) => {
        this.listeners += 1;
        const unsubscribe = subscribe(listener);
        let attached = true;
        return () => {
          if (attached) this.listeners -= 1;
          attached = false;
          unsubscribe();
        };
      },
    });
  }

  get ports() {
    const { clock, storage } = this;
    return { clock, storage, random: systemRandom, logger: silentLogger };
  }
}

interface Part {
  start(): unknown;
  stop(): unknown;
}

const PARTS: Readonly<Record<string, (watched: Watched) => Part>> = {
  'lease keeper': ({ ports }) =>
    new LeaseKeeper(
      ports,
      { leaseMs: 30_000, renewMs: 10_000 },
      { held: () => [], announce: async () => undefined },
    ),
  sweeper: ({ ports }) => new Sweeper(ports, { sweepMs: 500 }),
  'service links': ({ ports }) => new ServiceLinks(ports),
  worker: ({ ports }) => {
    const worker = new Worker(
      {
        ...ports,
        caller: new ServiceCaller(ports),
        contracts: new ContractChecks(),
        hooks: new Listeners(() => {}),
        catalog: new WorkflowCatalog(),
        exposeErrors: false,
        readsMessages: new Set(),
        limits: { maxSteps: 10, callTries: 3, mismatchMs: 5_000, parkAfterMs: 0 },
      },
      { concurrency: 10, leaseMs: 30_000, renewMs: 10_000, pollMs: 1_000, prefetch: 0 },
    );
    return { start: () => worker.start(), stop: () => worker.stop({ graceMs: 0 }) };
  },
};

const ROUNDS = 10;
const CALLS = 50;

describe.each(Object.entries(PARTS))('%s', (_, make) => {
  it(`leaves no timer and listener behind after ${ROUNDS} times ${CALLS} starts and stops in any order`, async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const watched = new Watched();
      const part = make(watched);
      const coin = coins(round);
      const calls: unknown[] = [];
      for (let call = 0; call < CALLS; call += 1) {
        calls.push(coin() < 0.5 ? part.start() : part.stop());
        if (coin() < 0.3) await settled(1);
        if (coin() < 0.1) await watched.clock.advance(1_000);
      }
      await Promise.all(calls);
      await part.stop();
      await settled();
      expect({ round, timers: watched.timers, listeners: watched.listeners }).toEqual({
        round,
        timers: 0,
        listeners: 0,
      });
      await part.start();
      await settled();
      expect(watched.timers + watched.listeners, `round ${round}: it runs again`).toBeGreaterThan(0);
      await part.stop();
    }
  });

  it('may be stopped before the start, and twice', async () => {
    const watched = new Watched();
    const part = make(watched);
    await part.stop();
    await Promise.all([part.start(), part.start()]);
    await Promise.all([part.stop(), part.stop()]);
    await settled();
    expect(watched.timers + watched.listeners).toBe(0);
  });
});

describe('a background loop', () => {
  it('never runs twice at a time, and follows the last call', async () => {
    let running = 0;
    let most = 0;
    const loop = new Loop(async (signal) => {
      running += 1;
      most = Math.max(most, running);
      while (!signal.aborted) await settled(1);
      await settled(3);
      running -= 1;
    });
    loop.start();
    await settled(1);
    const stopped = loop.stop();
    loop.start();
    await stopped;
    await settled(5);
    expect([running, most, loop.running]).toEqual([1, 1, true]);
    await Promise.all([loop.stop(), loop.stop()]);
    expect([running, most, loop.running]).toEqual([0, 1, false]);
  });
});

describe('an orchestrator', () => {
  const idle = (watched: Watched) => new Orchestrator({ clock: watched.clock, storage: watched.storage });

  it(`leaves nothing behind, whenever it is stopped`, async () => {
    for (let turns = 0; turns < CALLS; turns += 1) {
      const watched = new Watched();
      const orchestrator = idle(watched);
      orchestrator.workflow('quick', () => 1);
      const started = Promise.all([orchestrator.start(), orchestrator.start()]).catch(() => undefined);
      const task = await orchestrator.tenant('acme').tasks.submit({ type: 'quick' });
      for (let turn = 0; turn < turns; turn += 1) await Promise.resolve();
      await Promise.all([orchestrator.stop(), orchestrator.stop({ graceMs: 0 }), started]);
      await settled();
      expect({ turns, timers: watched.timers, listeners: watched.listeners }).toEqual({
        turns,
        timers: 0,
        listeners: 0,
      });
      await using other = idle(watched);
      other.workflow('quick', () => 1);
      await other.start();
      await settled();
      expect(await other.tenant('acme').tasks.get(task.task_id)).toMatchObject({
        status: 'completed',
        attempt: 1,
      });
    }
  });

  it('leaves no timer behind for a wait that its stop has ended', async () => {
    for (let turns = 0; turns < CALLS; turns += 1) {
      const watched = new Watched();
      const orchestrator = idle(watched);
      orchestrator.workflow('waiting', (ctx) => ctx.waitForSignal('go'));
      await orchestrator.start();
      const task = await orchestrator.tenant('acme').tasks.submit({ type: 'waiting' });
      const result = task.result().catch((error: unknown) => error);
      for (let turn = 0; turn < turns; turn += 1) await Promise.resolve();
      await orchestrator.stop({ graceMs: 0 });
      expect(await result).toMatchObject({ code: 'not_running' });
      await settled();
      expect({ turns, timers: watched.timers }).toEqual({ turns, timers: 0 });
    }
  });

  it('rejects a start after its stop', async () => {
    const orchestrator = idle(new Watched());
    await orchestrator.stop();
    await expect(orchestrator.start()).rejects.toMatchObject({ code: 'not_running' });
  });

  it('is stopped at the end of its block', async () => {
    const watched = new Watched();
    {
      await using orchestrator = idle(watched);
      await orchestrator.start();
      expect(watched.listeners).toBeGreaterThan(0);
    }
    expect([watched.timers, watched.listeners]).toEqual([0, 0]);
  });
});

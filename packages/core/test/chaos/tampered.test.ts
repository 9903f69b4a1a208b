import { beforeAll, describe, expect, it } from 'vitest';
import type { Storage } from '../../src/index.js';
import type { Claim, JournalStep } from '../../src/storage/index.js';
import { type Faults, FAULTLESS, faultsOf } from './chaos-stats.js';
import { planTasks, type Run, run } from './chaos-run.js';
import { DropSchedule } from './drop-schedule.js';
import { SeededRandom } from './seeded-random.js';

const SEED = 'tampered';
const TASKS = 40;
const planned = planTasks(SEED, TASKS);
let calm: Run;
beforeAll(async () => {
  calm = await run(planned, { seed: SEED, disturbed: false });
});

async function faultsWith(tamper?: (storage: Storage) => Storage): Promise<Faults> {
  const random = new SeededRandom(SEED);
  const schedule = new DropSchedule(random, { drops: TASKS / 2, waitPasses: calm.work / TASKS });
  const decide = schedule.decide.bind(schedule);
  const disturbed = await run(planned, { seed: SEED, disturbed: true, decide, ...(tamper && { tamper }) });
  return faultsOf(planned, calm, disturbed);
}

/** A storage with one part that does something else in one place. */
function withQueue(storage: Storage, other: (queue: Storage['queue']) => Partial<Storage['queue']>): Storage {
  const { tasks, queue, journal, sessions, events, tenants, tickets, rates, usage, workers, wakeups } =
    storage;
  const { cache, systemEvents } = storage;
  const bound = {
    claim: queue.claim.bind(queue),
    renew: queue.renew.bind(queue),
    settle: queue.settle.bind(queue),
    wake: queue.wake.bind(queue),
    sweep: queue.sweep.bind(queue),
  };
  return {
    ...{ tasks, journal, sessions, events, tenants, tickets, rates, usage, cache, workers, wakeups },
    systemEvents,
    queue: { ...bound, ...other(bound) },
    ping: () => storage.ping(),
    close: () => storage.close(),
  };
}

/** Presents the only call of a task as unanswered. */
function reopened({ task }: Claim): (step: JournalStep) => JournalStep {
  const [only, ...others] = task.delegated_services;
  return (step) => {
    if (step.kind !== 'call' || only?.call_id === undefined || others.length > 0) return step;
    const { outcome: _, ...open } = step;
    return { ...open, call: { call_id: only.call_id } };
  };
}

describe('a defective storage is noticed', () => {
  it('a correct storage passes', async () => {
    expect(await faultsWith((storage) => withQueue(storage, () => ({})))).toEqual(FAULTLESS);
  });

  it('when it forgets recorded outcomes', async () => {
    const faults = await faultsWith((storage) =>
      withQueue(storage, (queue) => ({
        claim: async (params) => {
          const claims = await queue.claim(params);
          return claims.map((claim) => ({ ...claim, steps: claim.steps.filter((step) => !step.outcome) }));
        },
      })),
    );
    expect(faults.stuck).toBeGreaterThan(0);
  });

  it('when it presents an ended call as open', async () => {
    const faults = await faultsWith((storage) =>
      withQueue(storage, (queue) => ({
        claim: async (params) => {
          const claims = await queue.claim(params);
          return claims.map((claim) => ({
            ...claim,
            journalRev: 0,
            steps: claim.steps.map(reopened(claim)),
          }));
        },
      })),
    );
    expect(faults.recordedCallsMadeAgain).toBeGreaterThan(0);
  });

  it('when it delivers outcomes in another order', async () => {
    const faults = await faultsWith((storage) =>
      withQueue(storage, (queue) => ({
        claim: async (params) => {
          const claims = await queue.claim(params);
          return claims.map((claim) => ({ ...claim, steps: claim.steps.toReversed() }));
        },
      })),
    );
    // The function waits for its first outcome, which stands behind one that it has not asked for.
    expect(faults.stuck).toBeGreaterThan(0);
  });

  it('when it never reassigns the tasks of a dead worker', async () => {
    const faults = await faultsWith((storage) =>
      withQueue(storage, (queue) => ({
        claim: (params) => queue.claim({ ...params, leaseMs: 1e12 }),
      })),
    );
    expect(faults.stuck).toBeGreaterThan(0);
  });
});

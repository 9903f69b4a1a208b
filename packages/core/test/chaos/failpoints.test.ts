import { afterAll, describe, expect, it } from 'vitest';
import { FAILPOINTS, type Often } from './failpoint-table.js';
import { type Failpoint, isPoll } from './failpoints.js';
import { historyOf, judge } from './history.js';
import { furnish, type Scenario, SCENARIOS, SERVICES } from './scenarios.js';
import { TENANT, World } from './world.js';

const LIMIT_MS = 3_600_000;
interface Told {
  readonly world: World;
  readonly tookMs: number;
}

/** Runs a scenario in one process after the other; each of the given passes of `point` kills the one that makes it. */
async function tell(scenario: Scenario, point?: Failpoint, passes: readonly number[] = []): Promise<Told> {
  let passed = 0;
  const decide = (here: Failpoint) => {
    if (here !== point) return false;
    passed += 1;
    return passes.includes(passed);
  };
  const world = new World({ seed: 'failpoints', processes: 1, services: SERVICES, furnish, decide });
  const begun = world.clock.now();
  expect(await world.run(scenario, LIMIT_MS)).toBe(true);
  return { world, tookMs: world.clock.now() - begun };
}

/** Invariants that hold whichever process dies. */
async function check({ storage, acknowledged, services, repeatedEffects }: World): Promise<void> {
  const none = { gaps: [], notFinalOnce: [] };
  expect(judge(await historyOf(storage, TENANT), acknowledged)).toEqual(none);
  expect({ repeated: services.repeated, unstored: services.unstored, repeatedEffects }).toEqual({
    repeated: [],
    unstored: [],
    repeatedEffects: [],
  });
}

interface Tally {
  deaths: number;
  sentAgain: number;
  ranAgain: number;
  resent: number;
  latestMs: number;
}

const tallies = new Map<Failpoint, Tally>();
const unlisted = new Set<Failpoint>();
const times = (counts: ReadonlyMap<string, number>) => Math.max(0, ...counts.values());

function note(point: Failpoint, undisturbed: Told, { world, tookMs }: Told): void {
  const tally = tallies.get(point) ?? { deaths: 0, sentAgain: 0, ranAgain: 0, resent: 0, latestMs: 0 };
  tallies.set(point, tally);
  tally.deaths += 1;
  if (world.services.sentAgain > undisturbed.world.services.sentAgain) tally.sentAgain += 1;
  if (times(world.effects) > times(undisturbed.world.effects)) tally.ranAgain += 1;
  if (world.resent > 0) tally.resent += 1;
  tally.latestMs = Math.max(tally.latestMs, tookMs - undisturbed.tookMs);
}

describe('a process killed at any pass of any failpoint', () => {
  it.each(Object.entries(SCENARIOS))('violates no invariant of: %s', async (_, scenario) => {
    const undisturbed = await tell(scenario);
    await check(undisturbed.world);
    for (const [point, passes] of undisturbed.world.failpoints.passed) {
      if (!FAILPOINTS.has(point)) unlisted.add(point);
      for (let pass = 1; pass <= passes; pass += 1) {
        try {
          const received = await tell(scenario, point, [pass]);
          expect(received.world.drops).toHaveLength(1);
          await check(received.world);
          note(point, undisturbed, received);
          // A second death on the heels of the first would say nothing new.
          if (isPoll(point)) continue;
          // Its successor dies too, as soon as it comes to the same place.
          await check((await tell(scenario, point, [pass, pass + 1])).world);
        } catch (error) {
          throw new Error(`dead at pass ${pass} of ${point}`, { cause: error });
        }
      }
    }
  });
});

function oftenOf(count: number, deaths: number): Often {
  if (count === 0) return 'never';
  return count === deaths ? 'always' : 'sometimes';
}

describe('the table of failpoints', () => {
  it('has at least 30 entries, each of which was hit, and no unknown failpoint was passed', () => {
    expect(FAILPOINTS.size).toBeGreaterThanOrEqual(30);
    expect([...unlisted]).toEqual([]);
    expect([...FAILPOINTS.keys()].filter((point) => !tallies.has(point))).toEqual([]);
  });

  it('states the outcome of each kill', () => {
    const came = [...tallies].map(([point, { deaths, sentAgain, ranAgain }]) => ({
      point,
      sentAgain: oftenOf(sentAgain, deaths),
      ranAgain: oftenOf(ranAgain, deaths),
    }));
    const stated = came.map(({ point }) => {
      const { sentAgain, ranAgain } = FAILPOINTS.get(point) ?? {};
      return { point, sentAgain, ranAgain };
    });
    expect(came).toEqual(stated);
  });

  it('no kill costs more than a lease, a second, and repeated work', () => {
    const longestWorkMs = 20_000;
    for (const [point, { latestMs }] of tallies) {
      expect({ point, late: latestMs > 30_000 + 1_000 + longestWorkMs }).toEqual({ point, late: false });
    }
  });
});

afterAll(() => {
  const rows: Record<string, object> = {};
  for (const [point, { outcome }] of FAILPOINTS) {
    const { deaths = 0, sentAgain = 0, resent = 0, latestMs = 0 } = tallies.get(point) ?? {};
    rows[point] = { hit: deaths, sentAgain, resent, latestMs, outcome };
  }
  console.table(rows);
});

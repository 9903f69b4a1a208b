import { describe, expect, it } from 'vitest';
import { isOfDisk } from './failpoints.js';
import { historyOf, judge } from './history.js';
import { furnish, type Scenario, SCENARIOS, SERVICES } from './scenarios.js';
import { TENANT, World } from './world.js';

const LIMIT_MS = 3_600_000;
const DISK = { shortWrites: 0, noRoom: 0 };

/** Runs a scenario in one process after the other on a folder; one dies at that change of the disk, and its successor at the next. */
async function tell(scenario: Scenario, changes: readonly number[]): Promise<World> {
  let passed = 0;
  const world = new World({
    seed: 'changes',
    processes: 1,
    services: SERVICES,
    furnish,
    folder: DISK,
    decide: (point) => {
      if (!isOfDisk(point)) return false;
      passed += 1;
      return changes.includes(passed);
    },
  });
  expect(await world.run(scenario, LIMIT_MS)).toBe(true);
  return world;
}

async function check({ storage, acknowledged, services, repeatedEffects }: World): Promise<void> {
  expect(judge(await historyOf(storage, TENANT), acknowledged)).toEqual({ gaps: [], notFinalOnce: [] });
  const { repeated, unstored } = services;
  expect({ repeated, unstored, repeatedEffects }).toEqual({
    repeated: [],
    unstored: [],
    repeatedEffects: [],
  });
}

describe('a process on a folder, killed at any change of the disk', () => {
  it.each(Object.entries(SCENARIOS))('violates no invariant of: %s', async (_, scenario) => {
    const undisturbed = await tell(scenario, []);
    await check(undisturbed);
    const passes = [...undisturbed.failpoints.passed].filter(([point]) => isOfDisk(point));
    const changes = passes.reduce((sum, [, count]) => sum + count, 0);
    expect(changes).toBeGreaterThan(25);
    for (let at = 1; at <= changes; at += 1) {
      try {
        const world = await tell(scenario, [at, at + 1]);
        expect(world.drops.length).toBeGreaterThan(0);
        await check(world);
      } catch (error) {
        throw new Error(`dead at change ${at} of the disk`, { cause: error });
      }
    }
  });
});

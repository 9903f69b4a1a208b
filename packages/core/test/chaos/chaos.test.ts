import { describe, expect, it } from 'vitest';
import { differencesOf, FAULTLESS, faultsOf, statsOf, reachOf } from './chaos-stats.js';
import { type PlannedTask, planTasks, type Run, run } from './chaos-run.js';
import { DropSchedule } from './drop-schedule.js';
import { SeededRandom } from './seeded-random.js';

/** Another seed is another story: `CHAOS_SEED=2 CHAOS_TASKS=10000 npx vitest run packages/core/test/chaos`. */
const SEED = process.env['CHAOS_SEED'] ?? '1';
const TASKS = Number(process.env['CHAOS_TASKS'] ?? 500);
/** One death for so many tasks. */
const TASKS_A_DROP = 2;

/** The same tasks as in `calm`, with deaths that are spread over most of the work. */
async function disturb(seed: string, planned: readonly PlannedTask[], calm: Run) {
  const drops = Math.ceil(planned.length / TASKS_A_DROP);
  const waitPasses = calm.work / drops / 2;
  const schedule = new DropSchedule(new SeededRandom(`${seed}/drops`), { drops, waitPasses });
  const disturbed = await run(planned, { seed, disturbed: true, decide: (point) => schedule.decide(point) });
  return { disturbed, schedule, drops };
}

describe('random workflows in three processes that are killed at random failpoints', () => {
  it(
    `end as without kills (CHAOS_SEED=${SEED} CHAOS_TASKS=${TASKS})`,
    { timeout: Math.max(1_800_000, 360 * TASKS) },
    async () => {
      const planned = planTasks(SEED, TASKS);
      const calm = await run(planned, { seed: SEED, disturbed: false });
      expect(await faultsOf(planned, calm, calm)).toEqual(FAULTLESS);
      expect([...calm.endings.values()].filter(({ status }) => status !== 'completed')).toEqual([]);

      const { disturbed, schedule, drops } = await disturb(SEED, planned, calm);
      const faults = await faultsOf(planned, calm, disturbed);
      const stats = statsOf(planned, calm, disturbed);
      const reached = reachOf(disturbed);
      console.log(`CHAOS_SEED=${SEED} CHAOS_TASKS=${TASKS} trace ${disturbed.trace.slice(0, 16)}`);
      console.table({ ...stats, dropsPlanned: drops, failpointsDiedAt: schedule.byPoint.size, ...faults });
      console.table(reached);
      expect(differencesOf(planned, calm, disturbed)).toEqual([]);
      expect(faults).toEqual(FAULTLESS);
      expect({ injected: schedule.injected, died: stats.drops }).toEqual({ injected: drops, died: drops });
      expect(Object.entries(reached).filter(([, count]) => count === 0)).toEqual([]);
      // Nothing but a cancel keeps a task from its result.
      expect(stats.completed + stats.cancelled).toBe(TASKS);
    },
  );

  it(`are reproducible from their seed (CHAOS_SEED=${SEED})`, async () => {
    const planned = planTasks(SEED, 40);
    const calm = await run(planned, { seed: SEED, disturbed: false });
    const [first, second] = [await disturb(SEED, planned, calm), await disturb(SEED, planned, calm)];
    expect(second.disturbed.trace).toBe(first.disturbed.trace);
    expect((await disturb(`${SEED}-other`, planned, calm)).disturbed.trace).not.toBe(first.disturbed.trace);
  });
});

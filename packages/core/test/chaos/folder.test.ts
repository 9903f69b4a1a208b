import { describe, expect, it } from 'vitest';
import { OrchestratorError } from '../../src/index.js';
import { DamagedFolderError } from '../../src/file/damage.js';
import { differencesOf, FAULTLESS, faultsOf, reachOf, statsOf } from './chaos-stats.js';
import { type PlannedTask, planTasks, type Run, run } from './chaos-run.js';
import type { DiskFaults } from './crashing-folder.js';
import { DropSchedule } from './drop-schedule.js';
import { isOfDisk } from './failpoints.js';
import { SeededRandom } from './seeded-random.js';

/** Another seed is another story: `CHAOS_SEED=2 CHAOS_TASKS=10000 npm run prove -- chaos/folder.test`. */
const SEED = process.env['CHAOS_SEED'] ?? '1';
const TASKS = Number(process.env['CHAOS_TASKS'] ?? 200);
/** Each start reads everything kept: stories of so many tasks. */
const TASKS_A_STORY = 200;
/** One death at a failpoint for so many tasks, and one at a change of the disk. */
const TASKS_A_DROP = 4;
const CALM_DISK = { shortWrites: 0, noRoom: 0 };
const BAD_DISK = { shortWrites: 5, noRoom: 5 };

async function disturb(
  seed: string,
  planned: readonly PlannedTask[],
  { work, diskWork }: Run,
  folder: DiskFaults = BAD_DISK,
) {
  const drops = Math.ceil(planned.length / TASKS_A_DROP);
  const scheduleOf = (name: string, passes: number) =>
    new DropSchedule(new SeededRandom(`${seed}/${name}`), { drops, waitPasses: passes / drops / 2 });
  const schedules = { disk: scheduleOf('disk', diskWork), other: scheduleOf('other', work - diskWork) };
  const disturbed = await run(planned, {
    seed,
    disturbed: true,
    folder,
    decide: (point) => (isOfDisk(point) ? schedules.disk : schedules.other).decide(point),
  });
  return { disturbed, schedules, drops: 2 * drops };
}

const stories = Array.from(
  { length: Math.ceil(TASKS / TASKS_A_STORY) },
  (_, n) => [`${SEED}-${n + 1}`, Math.min(TASKS_A_STORY, TASKS - n * TASKS_A_STORY)] as const,
);

describe('random workflows in processes on a folder, killed at random failpoints and changes of the disk', () => {
  it.each(stories)(
    'end as in memory without kills (seed %s, %d tasks)',
    { timeout: 1_800_000 },
    async (seed, tasks) => {
      const planned = planTasks(seed, tasks);
      const inMemory = await run(planned, { seed, disturbed: false });
      const calm = await run(planned, { seed, disturbed: false, folder: CALM_DISK });
      expect(differencesOf(planned, inMemory, calm)).toEqual([]);

      const { disturbed, schedules, drops } = await disturb(seed, planned, calm);
      const faults = await faultsOf(planned, inMemory, disturbed);
      const stats = statsOf(planned, inMemory, disturbed);
      const { opened = 0, faulted = 0 } = disturbed.world.folder ?? {};
      const pointsDiedAt = schedules.disk.byPoint.size + schedules.other.byPoint.size;
      console.log(`CHAOS_SEED=${seed} CHAOS_TASKS=${tasks} trace ${disturbed.trace.slice(0, 16)}`);
      console.table({
        ...stats,
        dropsPlanned: drops,
        pointsDiedAt,
        opened,
        faultedWrites: faulted,
        ...faults,
      });
      console.table(Object.fromEntries(schedules.disk.byPoint));
      expect(differencesOf(planned, inMemory, disturbed)).toEqual([]);
      expect(faults).toEqual(FAULTLESS);
      expect(stats.completed + stats.cancelled).toBe(tasks);
      expect(stats.drops).toBeGreaterThan(0.8 * drops);
      expect(faulted).toBeGreaterThan(0);
      expect(Object.values(reachOf(disturbed)).filter((count) => count > 0).length).toBeGreaterThan(5);
    },
  );

  it('lose what was acknowledged when the log is not synced, which is noticed', async () => {
    for (const seed of ['not-synced', 'not-synced-2', 'not-synced-3']) {
      const planned = planTasks(seed, 40);
      const calm = await run(planned, { seed, disturbed: false, folder: CALM_DISK });
      const notSynced = { ...CALM_DISK, durability: 'process' } as const;
      const noticed = await disturb(seed, planned, calm, notSynced).then(
        async ({ disturbed }) => (await faultsOf(planned, calm, disturbed)).heardAndLost > 0,
        // The log is damaged, or a task that was acknowledged is gone.
        (error: unknown) =>
          error instanceof DamagedFolderError ||
          (error instanceof OrchestratorError && error.code === 'not_found'),
      );
      expect(noticed, seed).toBe(true);
    }
  });
});

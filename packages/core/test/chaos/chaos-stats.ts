import { isFinal, type TaskEvent } from '../../src/index.js';
import type { PlannedTask, Run } from './chaos-run.js';
import { historyOf, judge } from './history.js';
import { type Kind, KINDS } from './random-workflows.js';
import { TENANT } from './world.js';

/** What is never to happen: each is to be 0. */
export interface Faults {
  readonly stuck: number;
  readonly notFinalOnce: number;
  readonly gapsInRev: number;
  readonly differingResults: number;
  /** Ended in a state that neither the undisturbed run nor a cancel explains. */
  readonly unexpectedStates: number;
  readonly recordedCallsMadeAgain: number;
  readonly callsMadeBeforeTheyWereStored: number;
  readonly recordedWorkDoneAgain: number;
  readonly timesThatDifferOnReplay: number;
  readonly unacknowledged: number;
  /** Events that a follower was told, and that are not in the log in the end. */
  readonly heardAndLost: number;
}

export interface OrchestratorStats {
  readonly tasks: number;
  readonly completed: number;
  readonly cancelled: number;
  readonly failed: number;
  readonly drops: number;
  readonly calls: number;
  /** Sent again with the same key: their answer was lost, or they were turned away. */
  readonly callsSentAgain: number;
  readonly requestsResent: number;
  /** A run ends when its task is parked, and begins when it is woken; outcomes that come together wake it once. */
  readonly runsPerTaskUndisturbed: number;
  readonly runsPerTask: number;
  /** Runs that were lost with their process, and begun again elsewhere. */
  readonly extraRunsPerTask: number;
  readonly virtualHours: number;
}

type Difference = 'stuck' | 'state' | 'result' | undefined;

function differenceOf({ taskId, cancelAfterMs }: PlannedTask, calm: Run, run: Run): Difference {
  const [expected, ending] = [calm.endings.get(taskId), run.endings.get(taskId)];
  if (!ending || ending.status === 'absent' || !isFinal(ending.status)) return 'stuck';
  if (ending.status === 'cancelled' && cancelAfterMs !== undefined) return undefined;
  if (ending.status !== expected?.status) return 'state';
  return ending.what === expected.what ? undefined : 'result';
}

/** The first tasks with a different end than in the undisturbed run, for debugging. */
export function differencesOf(planned: readonly PlannedTask[], calm: Run, run: Run): readonly object[] {
  return planned
    .map((task) => ({ task, difference: differenceOf(task, calm, run) }))
    .filter(({ difference }) => difference !== undefined)
    .slice(0, 5)
    .map(({ task, difference }) => ({
      difference,
      taskId: task.taskId,
      ended: run.endings.get(task.taskId),
      undisturbed: calm.endings.get(task.taskId),
      program: JSON.stringify(task.program),
    }));
}

/** Compares a disturbed run with the same tasks undisturbed. */
export async function faultsOf(planned: readonly PlannedTask[], calm: Run, run: Run): Promise<Faults> {
  const { storage, services, acknowledged, repeatedEffects } = run.world;
  const ids = planned.map(({ taskId }) => taskId);
  const history = await historyOf(storage, TENANT);
  const { gaps, notFinalOnce } = judge(history, ids);
  const logged = new Set(history.map(textOf));
  const kinds = planned.map((task) => differenceOf(task, calm, run));
  const count = (kind: Difference) => kinds.filter((each) => each === kind).length;
  return {
    stuck: count('stuck'),
    notFinalOnce: notFinalOnce.length,
    gapsInRev: gaps.length,
    differingResults: count('result'),
    unexpectedStates: count('state'),
    recordedCallsMadeAgain: services.repeated.length,
    callsMadeBeforeTheyWereStored: services.unstored.length,
    recordedWorkDoneAgain: repeatedEffects.length,
    timesThatDifferOnReplay: run.timesThatDiffer,
    unacknowledged: ids.filter((id) => !acknowledged.has(id)).length,
    heardAndLost: run.heard.filter((event) => !logged.has(textOf(event))).length,
  };
}

/** An event without its position: a log that has lost its end goes on with other positions. */
const textOf = ({ cursor: _, ...event }: TaskEvent) => JSON.stringify(event);

export const FAULTLESS: Faults = {
  stuck: 0,
  notFinalOnce: 0,
  gapsInRev: 0,
  differingResults: 0,
  unexpectedStates: 0,
  recordedCallsMadeAgain: 0,
  callsMadeBeforeTheyWereStored: 0,
  recordedWorkDoneAgain: 0,
  timesThatDifferOnReplay: 0,
  unacknowledged: 0,
  heardAndLost: 0,
};

export function statsOf(planned: readonly PlannedTask[], calm: Run, run: Run): OrchestratorStats {
  const endings = [...run.endings.values()];
  const count = (wanted: string) => endings.filter(({ status }) => status === wanted).length;
  const runsPerTask = ({ runs }: Run) => [...runs.values()].reduce((sum, n) => sum + n, 0) / planned.length;
  const rounded = (value: number) => Math.round(value * 1_000) / 1_000;
  const { services } = run.world;
  return {
    tasks: planned.length,
    completed: count('completed'),
    cancelled: count('cancelled'),
    failed: count('failed'),
    drops: run.world.drops.length,
    calls: services.sends.size,
    callsSentAgain: services.sentAgain,
    requestsResent: run.world.resent,
    runsPerTaskUndisturbed: rounded(runsPerTask(calm)),
    runsPerTask: rounded(runsPerTask(run)),
    extraRunsPerTask: rounded(run.world.lostLeases / planned.length),
    virtualHours: rounded(run.virtualMs / 3_600_000),
  };
}

/** How often nodes of each kind came to their end. */
export function reachOf({ reached }: Run): Readonly<Record<Kind, number>> {
  return Object.fromEntries(KINDS.map((kind) => [kind, reached.get(kind) ?? 0])) as Record<Kind, number>;
}

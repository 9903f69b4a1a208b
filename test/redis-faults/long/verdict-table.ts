import type { FaultVerdict, Recovery } from '../fault-history.js';

const count = (value: number | readonly string[]) => (typeof value === 'number' ? value : value.length);

const inWords = ({ tasks, medianMs, longestMs, late }: Recovery) =>
  `${tasks} tasks, median ${medianMs} ms, longest ${longestMs} ms, over lease + 1 s: ${late}`;

/** All results of a run, with labels. */
export function verdictTable(verdict: FaultVerdict): Readonly<Record<string, number | string>> {
  return {
    'faults injected of those planned': `${verdict.injected} of ${verdict.planned}`,
    'tasks acknowledged': verdict.acknowledged,
    'acknowledged and lost': count(verdict.lost),
    'final states other than one': count(verdict.notFinalOnce),
    'gaps in rev': count(verdict.revGaps),
    'tasks without a request': verdict.withoutRequest,
    'two tasks of one key': count(verdict.twoOfOneKey),
    'events twice at the follower': verdict.followedTwice,
    'events missing at the follower': verdict.followedMissing,
    'events at the follower that differ from the log': verdict.followedOther,
    'gap frames at the follower': verdict.gapFrames,
    'recorded work done again': count(verdict.recordedAgain),
    'work begun before a freeze, done after it': verdict.begunBeforeFreeze,
    'tasks that failed (three workers lost)': verdict.failed,
    'extra runs': verdict.extraRuns,
    'extra runs per task': verdict.extraRunsPerTask,
    'recovery after a kill': inWords(verdict.afterKill),
    'recovery after a freeze': inWords(verdict.afterFreeze),
    'recovery while the storage was away': inWords(verdict.withOutage),
    'error texts of Redis at users': count(verdict.redisTexts),
  };
}

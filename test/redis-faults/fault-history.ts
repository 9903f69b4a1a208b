import type { TaskEvent } from '@agent-orchestrator/core';
import { judge } from '../../packages/core/test/chaos/history.js';

/** A line of a process's own log. `at` is the machine's time in ms, the same for all processes. */
export type Entry = { readonly at: number; readonly process: string } & (
  | { readonly kind: 'up' | 'done' }
  | { readonly kind: 'requested'; readonly tenant: string; readonly key: string }
  | { readonly kind: 'acknowledged'; readonly tenant: string; readonly key: string; readonly task: string }
  /** A workflow function began or ended. */
  | { readonly kind: 'started' | 'ended'; readonly task: string }
  /** A worker has claimed or settled a task. */
  | { readonly kind: 'claimed' | 'settled'; readonly task: string }
  /** Own work or a service call is about to begin. */
  | { readonly kind: 'own' | 'call'; readonly task: string; readonly step: string }
  /** The outcome is stored, as far as the workflow knows. */
  | { readonly kind: 'recorded'; readonly task: string; readonly step: string }
  | {
      readonly kind: 'event';
      readonly cursor: string;
      readonly task?: string | undefined;
      readonly rev?: number | undefined;
    }
  | { readonly kind: 'gap'; readonly from: string; readonly to: string }
  | { readonly kind: 'error'; readonly text: string; readonly error?: string }
);

export interface Fault {
  readonly kind: 'kill' | 'freeze' | 'storage';
  readonly process: string;
  readonly at: number;
  /** Time when a frozen process continued, or the storage was back. */
  readonly until?: number;
}

export interface FaultHistory {
  readonly entries: readonly Entry[];
  readonly faults: readonly Fault[];
  readonly planned: number;
  readonly leaseMs: number;
  /** By tenant: its whole log at the end. */
  readonly logs: ReadonlyMap<string, readonly TaskEvent[]>;
  /** The followed tenant. */
  readonly followed: string;
}

/** Time until another process had claimed the tasks. */
export interface Recovery {
  readonly tasks: number;
  readonly medianMs: number;
  readonly longestMs: number;
  /** Number of tasks that took longer than the lease and a second. */
  readonly late: number;
}

export interface FaultVerdict {
  readonly acknowledged: number;
  readonly injected: number;
  readonly planned: number;
  /** Acknowledged tasks that the log does not have. */
  readonly lost: readonly string[];
  readonly notFinalOnce: readonly string[];
  readonly revGaps: readonly string[];
  /** Tasks without a request. */
  readonly withoutRequest: number;
  /** Requests that became two tasks. */
  readonly twoOfOneKey: readonly string[];
  readonly followedTwice: number;
  readonly followedMissing: number;
  /** Received events that differ from those in the log. */
  readonly followedOther: number;
  /** Gap frames that no fault of the storage explains. */
  readonly gapsWithoutReason: number;
  readonly gapFrames: number;
  /** Work begun although its outcome was stored. */
  readonly recordedAgain: readonly string[];
  /** The same, by a process frozen between the check and the work, which nothing can prevent. */
  readonly begunBeforeFreeze: number;
  readonly extraRuns: number;
  readonly extraRunsPerTask: number;
  readonly failed: number;
  /** From the death of a process, or its freezing, until another one has claimed its tasks. */
  readonly afterKill: Recovery;
  readonly afterFreeze: Recovery;
  /** Either, where the storage was away for a part of that time. */
  readonly withOutage: Recovery;
  /** Error texts of Redis that reached a user. */
  readonly redisTexts: readonly string[];
}

const REDIS_TEXT = /\b(?:MOVED|ASK|CROSSSLOT|CLUSTERDOWN|TRYAGAIN|READONLY)\b/;
/** The function runs once up to its sleep, and once more after it. */
const RUNS_OF_A_TASK = 2;
/** Time for the sweeper, besides the lease. */
const RECOVERY_MS = 1_000;
/** Time to reconnect to a storage that is back. */
const BACK_MS = 5_000;
/** Time in which a thawed process finishes its work. */
const AFTER_THAW_MS = 1_000;

/** Compares the logs of all processes with the storage, and returns all contradictions. */
export function judgeFaults(history: FaultHistory): FaultVerdict {
  const { entries, faults, planned, logs } = history;
  const acknowledged = entries.filter((entry) => entry.kind === 'acknowledged');
  const known = new Set([...logs.values()].flat().map(({ task_id }) => task_id));
  const verdicts = [...logs].map(([tenant, log]) => {
    const own = acknowledged.filter((entry) => entry.tenant === tenant && known.has(entry.task));
    return judge(
      log,
      own.map(({ task }) => task),
    );
  });
  const started = entries.flatMap((entry) => (entry.kind === 'started' ? [entry.task] : []));
  const tasks = new Set(started);
  const extraRuns = Math.max(0, started.length - tasks.size * RUNS_OF_A_TASK);
  const repeats = repeatedWork(history);
  return {
    acknowledged: acknowledged.length,
    injected: faults.length,
    planned,
    lost: acknowledged.map(({ task }) => task).filter((task) => !known.has(task)),
    notFinalOnce: verdicts.flatMap(({ notFinalOnce }) => notFinalOnce),
    revGaps: verdicts.flatMap(({ gaps }) => gaps),
    withoutRequest: withoutRequest(history),
    twoOfOneKey: twoOfOneKey(acknowledged),
    ...judgeFollower(history),
    ...repeats,
    extraRuns,
    extraRunsPerTask: Math.round((extraRuns / Math.max(1, tasks.size)) * 1_000) / 1_000,
    failed: [...logs.values()].flat().filter(({ event }) => event === 'task_failed').length,
    afterKill: recoveryOf(history, ['kill'], false),
    afterFreeze: recoveryOf(history, ['freeze'], false),
    withOutage: recoveryOf(history, ['kill', 'freeze'], true),
    redisTexts: entries.flatMap((entry) => {
      if (entry.kind !== 'error') return [];
      const text = `${entry.text} ${entry.error ?? ''}`;
      return REDIS_TEXT.test(text) ? [text] : [];
    }),
  };
}

function withoutRequest({ entries, logs }: FaultHistory): number {
  const requested = entries.flatMap((entry) =>
    entry.kind === 'requested' ? [`${entry.tenant}/${entry.key}`] : [],
  );
  const created = [...logs.values()].flat().filter(({ event }) => event === 'task_created');
  return Math.max(0, created.length - new Set(requested).size);
}

function twoOfOneKey(acknowledged: readonly Extract<Entry, { kind: 'acknowledged' }>[]): readonly string[] {
  const byKey = new Map<string, Set<string>>();
  for (const { tenant, key, task } of acknowledged) {
    const name = `${tenant}/${key}`;
    byKey.set(name, (byKey.get(name) ?? new Set()).add(task));
  }
  return [...byKey].filter(([, tasks]) => tasks.size > 1).map(([name]) => name);
}

/** After its last gap the follower must have each event once, in order, up to the end of the log. */
function judgeFollower({ entries, faults, logs, followed }: FaultHistory) {
  let seen: Extract<Entry, { kind: 'event' }>[] = [];
  let last = 0;
  let twice = 0;
  let missing = 0;
  const gaps: number[] = [];
  for (const entry of entries) {
    if (entry.kind === 'gap') {
      gaps.push(entry.at);
      last = seqOf(entry.to);
      seen = [];
    } else if (entry.kind === 'event') {
      const seq = seqOf(entry.cursor);
      if (seq <= last) twice += 1;
      else missing += seq - last - 1;
      last = Math.max(last, seq);
      seen.push(entry);
    }
  }
  const log = logs.get(followed) ?? [];
  const bySeq = new Map(log.map((event) => [seqOf(event.cursor), event]));
  const others = seen.filter(({ cursor, task, rev }) => {
    const event = bySeq.get(seqOf(cursor));
    return event?.task_id !== task || event?.rev !== rev;
  });
  const head = seqOf(log.at(-1)?.cursor ?? 'none:0');
  const strikes = faults.filter(({ kind }) => kind === 'storage').map(({ at }) => at);
  // One gap for each outage of the storage, and not before it.
  const excused = strikes.filter((strike, n) => (gaps[n] ?? 0) > strike).length;
  return {
    followedTwice: twice,
    followedMissing: missing + Math.max(0, head - last),
    followedOther: others.length,
    gapFrames: gaps.length,
    gapsWithoutReason: gaps.length - excused,
  };
}

function repeatedWork({ entries, faults }: FaultHistory) {
  const recordedAt = new Map<string, number>();
  for (const entry of entries) {
    if (entry.kind !== 'recorded') continue;
    const step = `${entry.task}/${entry.step}`;
    recordedAt.set(step, Math.min(entry.at, recordedAt.get(step) ?? Number.POSITIVE_INFINITY));
  }
  const recordedAgain: string[] = [];
  let begunBeforeFreeze = 0;
  for (const entry of entries) {
    if (entry.kind !== 'own' && entry.kind !== 'call') continue;
    const step = `${entry.task}/${entry.step}`;
    const recorded = recordedAt.get(step);
    if (recorded === undefined || recorded >= entry.at) continue;
    const slept = faults.some(
      ({ kind, process, at, until = 0 }) =>
        kind === 'freeze' &&
        process === entry.process &&
        recorded > at &&
        entry.at > until &&
        entry.at < until + AFTER_THAW_MS,
    );
    if (slept) begunBeforeFreeze += 1;
    else recordedAgain.push(step);
  }
  return { recordedAgain, begunBeforeFreeze };
}

/** From the fault until another process claimed each task of the struck one. */
function recoveryOf(history: FaultHistory, kinds: readonly Fault['kind'][], withOutage: boolean): Recovery {
  const { entries, faults, leaseMs } = history;
  const outages = faults.filter(({ kind }) => kind === 'storage');
  const all: number[] = [];
  for (const fault of faults.filter(({ kind }) => kinds.includes(kind))) {
    for (const at of takenOver(entries, fault)) {
      const isHit = outages.some((outage) => outage.at < at && (outage.until ?? 0) + BACK_MS > fault.at);
      if (isHit === withOutage) all.push(Math.round(at - fault.at));
    }
  }
  all.sort((a, b) => a - b);
  return {
    tasks: all.length,
    medianMs: all[Math.floor(all.length / 2)] ?? 0,
    longestMs: all.at(-1) ?? 0,
    late: all.filter((ms) => ms > leaseMs + RECOVERY_MS).length,
  };
}

/** Times at which other processes claimed the tasks of a struck one. */
function takenOver(entries: readonly Entry[], fault: Fault): Iterable<number> {
  const inHand = new Set<string>();
  const next = new Map<string, number>();
  for (const entry of entries) {
    if (entry.kind !== 'claimed' && entry.kind !== 'settled') continue;
    const isMine = entry.process === fault.process;
    if (entry.at <= fault.at) {
      if (isMine && entry.kind === 'claimed') inHand.add(entry.task);
      else inHand.delete(entry.task);
    } else if (!isMine && entry.kind === 'claimed' && inHand.has(entry.task) && !next.has(entry.task)) {
      next.set(entry.task, entry.at);
    }
  }
  return next.values();
}

function seqOf(cursor: string): number {
  return Number(cursor.split(':')[1]);
}

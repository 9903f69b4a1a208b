import type { TaskStatus } from './task.js';

/**
 * State of a task. The public status is coarser, see `statusOf`.
 *
 * - `scheduled`: delayed until a point in time (`run_at`, or the back-off after a failed attempt)
 * - `waiting`: behind other tasks of its session or batch
 * - `ready`: may be claimed · `leased`: a worker runs it · `parked`: all open branches wait for external events
 * - `woken`: was parked, may be claimed again · `tracked`: registered without a workflow, never queued
 */
export type TaskState =
  | 'scheduled'
  | 'waiting'
  | 'ready'
  | 'leased'
  | 'parked'
  | 'woken'
  | 'tracked'
  | 'completed'
  | 'failed'
  | 'cancelled';

/** Causes of transitions. Each is one atomic step of the storage. */
export type TaskVerb =
  | 'submit'
  | 'register'
  | 'due'
  | 'admit'
  | 'claim'
  | 'park'
  | 'wake'
  | 'retry'
  | 'release'
  | 'lose_lease'
  | 'complete'
  | 'fail'
  | 'time_out'
  | 'cancel';

/** One legal transition. `from: undefined`: the task does not exist yet. */
export interface Transition {
  readonly from: TaskState | undefined;
  readonly to: TaskState;
  readonly by: TaskVerb;
}

const PENDING: readonly TaskState[] = ['scheduled', 'waiting', 'ready'];
const LIVE: readonly TaskState[] = [...PENDING, 'leased', 'parked', 'woken', 'tracked'];
const ANY_LIVE = (to: TaskState, by: TaskVerb): Transition[] => LIVE.map((from) => ({ from, to, by }));

/** Task lifecycle: all legal transitions. */
export const TRANSITIONS: readonly Transition[] = [
  { from: undefined, to: 'ready', by: 'submit' },
  { from: undefined, to: 'waiting', by: 'submit' },
  { from: undefined, to: 'scheduled', by: 'submit' },
  { from: undefined, to: 'tracked', by: 'register' },
  { from: 'scheduled', to: 'ready', by: 'due' },
  { from: 'scheduled', to: 'waiting', by: 'due' },
  { from: 'waiting', to: 'ready', by: 'admit' },
  { from: 'ready', to: 'leased', by: 'claim' },
  { from: 'woken', to: 'leased', by: 'claim' },
  { from: 'leased', to: 'parked', by: 'park' },
  { from: 'parked', to: 'woken', by: 'wake' },
  { from: 'leased', to: 'scheduled', by: 'retry' },
  { from: 'leased', to: 'ready', by: 'release' },
  { from: 'leased', to: 'woken', by: 'release' },
  { from: 'leased', to: 'ready', by: 'lose_lease' },
  { from: 'leased', to: 'woken', by: 'lose_lease' },
  { from: 'leased', to: 'failed', by: 'lose_lease' },
  { from: 'leased', to: 'completed', by: 'complete' },
  { from: 'tracked', to: 'completed', by: 'complete' },
  { from: 'leased', to: 'failed', by: 'fail' },
  { from: 'tracked', to: 'failed', by: 'fail' },
  ...ANY_LIVE('failed', 'time_out'),
  ...ANY_LIVE('cancelled', 'cancel'),
];

/** All states of a task: each is the target of a transition. */
export const TASK_STATES: readonly TaskState[] = [...new Set(TRANSITIONS.map(({ to }) => to))];

/** Target states by verb and source state. */
const LEGAL: { [by in TaskVerb]?: { [from in TaskState | 'nothing']?: TaskState[] } } = {};
for (const { from = 'nothing', to, by } of TRANSITIONS) ((LEGAL[by] ??= {})[from] ??= []).push(to);

/** Whether a verb may move a task between two states; `from` is `undefined` for a task that does not exist. */
export function isLegal(from: TaskState | undefined, to: TaskState, by: TaskVerb): boolean {
  return LEGAL[by]?.[from ?? 'nothing']?.includes(to) === true;
}

const STATUS: Readonly<Record<TaskState, TaskStatus>> = {
  scheduled: 'pending',
  waiting: 'pending',
  ready: 'pending',
  leased: 'processing',
  parked: 'processing',
  woken: 'processing',
  tracked: 'processing',
  completed: 'completed',
  failed: 'failed',
  cancelled: 'cancelled',
};

/** The public status of a state. */
export function statusOf(state: TaskState): TaskStatus {
  return STATUS[state];
}

/** Whether a task in this state has ended. */
export function isFinalState(state: TaskState): boolean {
  return state === 'completed' || state === 'failed' || state === 'cancelled';
}

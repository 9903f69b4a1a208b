import type { TaskEvent } from '../protocol/events.js';
import type { Task } from '../protocol/task.js';

/** Events between `from` and `to` were trimmed, or belong to another epoch. */
export interface LogGap {
  readonly event: 'gap';
  readonly from: string;
  readonly to: string;
}

/** A task reached a final state. */
export interface TaskEnd {
  readonly event: 'ended';
  readonly task_id: string;
  readonly cursor: string;
  /** The task as `tasks.get` returns it at this position, if known without a read; a new object per call. */
  readonly task?: () => Task;
}

/** Params of `EventLog.head`. */
export interface LogHeadParams {
  readonly tenantId: string;
}

/** Params of `EventLog.read`. */
export interface ReadEventsParams {
  readonly tenantId: string;
  readonly after: string;
  readonly limit: number;
}

/** Answer of `EventLog.read`. */
export type ReadEventsResult = {
  readonly events: readonly TaskEvent[];
  readonly cursor: string;
  readonly gap?: LogGap;
};

/** Params of `EventLog.follow`, `EventLog.followCompletions`. */
export interface FollowEventsParams {
  readonly tenantId: string;
  readonly after: string;
  readonly signal: AbortSignal;
}

/** A tenant's event log: contiguous `seq` within an epoch; bounded by count, bytes and age. */
export interface EventLog {
  /** Cursor of the last event. */
  head(params: LogHeadParams): Promise<string>;
  /**
   * Events after `after`: at most `limit` and 1 MiB; a single event may be larger. The next page starts at the returned `cursor`.
   * `gap` if the log cannot continue from `after`.
   */
  read(params: ReadEventsParams): Promise<ReadEventsResult>;
  /** Each event once, in order, after `after`; ends when `signal` fires. A gap is followed by the events still retained. */
  follow(params: FollowEventsParams): AsyncIterable<TaskEvent | LogGap>;
  /** Like `follow`, but completions only; cheaper. */
  followCompletions(params: FollowEventsParams): AsyncIterable<TaskEnd | LogGap>;
}

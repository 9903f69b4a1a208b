import type { TaskEvent } from '../protocol/events.js';
import type { Task } from '../protocol/task.js';

/** Events between `from` and `to` are gone, or belong to another epoch. */
export interface LogGap {
  readonly event: 'gap';
  readonly from: string;
  readonly to: string;
}

/** A task has ended, one way or another. */
export interface TaskEnd {
  readonly event: 'ended';
  readonly task_id: string;
  readonly cursor: string;
  /** The task as `tasks.get` answers at this position, where that is known without asking; a new one each time. */
  readonly task?: () => Task;
}

/** A tenant's events: `seq` without holes within an epoch, bounded by count and age. */
export interface EventLog {
  /** The last position. */
  head(params: { readonly tenantId: string }): Promise<string>;
  /**
   * What comes after `after`, at most `limit` and 1 MiB unless one event is larger: the page after begins at its `cursor`. `gap`
   * when the log cannot go on from there.
   */
  read(params: {
    readonly tenantId: string;
    readonly after: string;
    readonly limit: number;
  }): Promise<{ readonly events: readonly TaskEvent[]; readonly cursor: string; readonly gap?: LogGap }>;
  /** Each event once, in order, from `after` on; ends when `signal` fires. A gap is followed by what is still kept. */
  follow(params: {
    readonly tenantId: string;
    readonly after: string;
    readonly signal: AbortSignal;
  }): AsyncIterable<TaskEvent | LogGap>;
  /** The same for whoever only waits for tasks to end, and costs less: nothing else wakes him. */
  followCompletions(params: {
    readonly tenantId: string;
    readonly after: string;
    readonly signal: AbortSignal;
  }): AsyncIterable<TaskEnd | LogGap>;
}

import type { TaskEvent } from '../protocol/events.js';

/** Events between `from` and `to` are gone, or belong to another epoch. */
export interface LogGap {
  readonly event: 'gap';
  readonly from: string;
  readonly to: string;
}

/** A tenant's events: `seq` without holes within an epoch, bounded by count and age. */
export interface EventLog {
  /** The last position. */
  head(params: { readonly tenantId: string }): Promise<string>;
  /** What comes after `after`, at most `limit`; `gap` when the log cannot go on from there. */
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
}

import type { TaskCancel } from '../protocol/service-socket.js';

/** Best-effort hints. The storage has the truth: a wakeup may be lost, so every waiter also polls. */
export type Wakeup =
  /** A task may be claimable. Delivered only to processes that have announced a worker or claimed before. */
  | { readonly kind: 'ready' }
  /** The journal of a leased task changed, or its cancellation was requested. */
  | { readonly kind: 'task'; readonly tenantId: string; readonly taskId: string }
  /** A timer was scheduled for `at`, epoch ms: the sweeper may have to run earlier than planned. */
  | { readonly kind: 'timer'; readonly at: number }
  /** A cached value was stored, or its computation was given up: those that wait for it check again. */
  | { readonly kind: 'cached'; readonly tenantId: string; readonly digest: string }
  /** The outcome of a call is no longer awaited: its service may stop working on it. */
  | { readonly kind: 'call_cancelled'; readonly service: string; readonly frame: TaskCancel };

/** Best-effort signals that something may have changed. A lost one costs time, never correctness: readers also poll. */
export interface Wakeups {
  /** Calls `listener` until the returned function is called. */
  subscribe(listener: (wakeup: Wakeup) => void): () => void;
}

import type { TaskCancel } from '../protocol/service-socket.js';

/** Hints. The truth is in the storage: a wakeup may be lost, and whoever waits for one also looks now and then. */
export type Wakeup =
  /** Something may be claimed. Heard where somebody has announced a worker, or has claimed before. */
  | { readonly kind: 'ready' }
  /** The journal of a leased task has news, or the task is to be cancelled. */
  | { readonly kind: 'task'; readonly tenantId: string; readonly taskId: string }
  /** A timer of the sweeper became due earlier than it knows. */
  | { readonly kind: 'timer'; readonly at: number }
  /** A service is working for nothing. */
  | { readonly kind: 'call_cancelled'; readonly service: string; readonly frame: TaskCancel };

export interface Wakeups {
  /** Rings until the returned function is called. */
  subscribe(listener: (wakeup: Wakeup) => void): () => void;
}

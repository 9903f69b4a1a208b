import type { TaskCancel } from '../protocol/service-socket.js';

/** Hints. The truth is in the storage: a bell may be lost, and whoever waits for one also looks now and then. */
export type Bell =
  /** Something may be claimed. Heard where somebody has announced a worker, or has claimed before. */
  | { readonly bell: 'ready' }
  /** The journal of a leased task has news, or the task is to be cancelled. */
  | { readonly bell: 'task'; readonly tenantId: string; readonly taskId: string }
  /** A duty of the sweeper became due earlier than it knows. */
  | { readonly bell: 'due'; readonly at: number }
  /** A service is working for nothing. */
  | { readonly bell: 'call_cancelled'; readonly service: string; readonly frame: TaskCancel };

export interface Bells {
  /** Rings until the returned function is called. */
  listen(listener: (bell: Bell) => void): () => void;
}

import type { Admin } from '@agent-orchestrator/core/server';

/**
 * What the commands of operators use: `StorageAdmin` on a storage that processes share, `HttpAdmin` through a server. Both give
 * the same answers, and throw `OrchestratorError`s with the same codes.
 */
export type OperatorPort = Pick<
  Admin,
  | 'tenants'
  | 'configure'
  | 'queue'
  | 'tasks'
  | 'task'
  | 'explain'
  | 'journal'
  | 'redrive'
  | 'redriveAll'
  | 'discardAll'
  | 'workers'
  | 'invalidateCache'
  | 'systemEvents'
>;

import type { WorkflowRun } from '../workflows/workflow-run.js';

const NOT_STARTED = Promise.resolve();

/**
 * A run held by a worker. A class, since V8 may allocate literals in old space, where only a full collection frees them and
 * all that they refer to.
 */
export class HeldRun {
  /** Resolves once the run is settled. */
  done = NOT_STARTED;

  constructor(readonly run: WorkflowRun) {}
}

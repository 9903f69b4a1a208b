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

  /** The task ran before, so it may have crashed a worker. */
  get wasRunBefore(): boolean {
    const { task, steps, unread = false } = this.run.claim;
    return task.attempt > 1 || steps.length > 0 || unread;
  }
}

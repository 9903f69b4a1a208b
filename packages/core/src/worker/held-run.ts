import type { WorkflowRun } from '../workflows/workflow-run.js';

const NOT_BEGUN = Promise.resolve();

/**
 * A run in the hands of a worker. A class, since V8 may allocate literals where only a full collection finds them, with all
 * that they refer to.
 */
export class HeldRun {
  /** Once it is settled. */
  done = NOT_BEGUN;

  constructor(readonly run: WorkflowRun) {}

  /** Its task may have cost a worker before. */
  get wasRunBefore(): boolean {
    const { task, steps, unread = false } = this.run.claim;
    return task.attempt > 1 || steps.length > 0 || unread;
  }
}

import type { NewTask, TaskMetadata } from '@agent-orchestrator/core';
import { createdData } from './new-items.js';
import { headOf, tailOf, type TaskHead, type TaskOrigin } from './task-view.js';

/** What is written of a task besides its id and its payload. */
export interface WrittenHead {
  /** The first line of the task, but for what the script adds; and its end as JSON, see `recordOf`. */
  readonly head: Omit<TaskHead, 'at' | 'place'>;
  readonly tail: string;
  /** Data of the event that tells of it, as JSON. */
  readonly data: string;
}

/** So many that differ are kept, the newest. */
const KEPT = 16;

/**
 * What is written of plain tasks of one origin: most of them are like one before, so it is written once. Not those with
 * metadata, which belong to whoever submits them.
 */
export class TaskHeads {
  readonly #newest: WrittenHead[] = [];

  constructor(private readonly origin: TaskOrigin = {}) {}

  of(task: NewTask): WrittenHead {
    if (!isEmpty(task.metadata)) return this.#write(task);
    for (const written of this.#newest) if (areAlike(written.head, task)) return written;
    const written = this.#write(task);
    if (this.#newest.length === KEPT) this.#newest.shift();
    this.#newest.push(written);
    return written;
  }

  #write(task: NewTask): WrittenHead {
    const head = headOf(task, this.origin);
    return { head, tail: tailOf(head), data: createdData(task) };
  }
}

function isEmpty(metadata: TaskMetadata): boolean {
  for (const field in metadata) if (Object.hasOwn(metadata, field)) return false;
  return true;
}

/** Whether the same is written of a task without metadata. */
function areAlike(head: WrittenHead['head'], task: NewTask): boolean {
  return (
    head.priority === task.priority &&
    head.type === task.type &&
    head.timeout === task.timeoutMs &&
    head.attempts === task.maxAttempts &&
    head.agent_id === task.agent_id &&
    head.parent_task_id === task.parent_task_id &&
    head.requested_by === task.requested_by
  );
}

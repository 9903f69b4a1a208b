import type { NewTask, TaskMetadata } from '@agent-orchestrator/core';
import { createdData } from './new-items.js';
import { headerOf, tailOf, type TaskHeader, type TaskOrigin } from './task-codec.js';

/** What is written of a task besides its id and its payload. */
export interface WrittenHeader {
  /** The first line of the task, but for what the script adds; and its end as JSON, see `recordOf`. */
  readonly header: Omit<TaskHeader, 'at' | 'sequence'>;
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
export class HeaderCache {
  readonly #newest: WrittenHeader[] = [];

  constructor(private readonly origin: TaskOrigin = {}) {}

  of(task: NewTask): WrittenHeader {
    if (!isEmpty(task.metadata)) return this.#write(task);
    for (const written of this.#newest) if (areAlike(written.header, task)) return written;
    const written = this.#write(task);
    if (this.#newest.length === KEPT) this.#newest.shift();
    this.#newest.push(written);
    return written;
  }

  #write(task: NewTask): WrittenHeader {
    const header = headerOf(task, this.origin);
    return { header, tail: tailOf(header), data: createdData(task) };
  }
}

function isEmpty(metadata: TaskMetadata): boolean {
  for (const field in metadata) if (Object.hasOwn(metadata, field)) return false;
  return true;
}

/** Whether the same is written of a task without metadata. */
function areAlike(header: WrittenHeader['header'], task: NewTask): boolean {
  return (
    header.priority === task.priority &&
    header.type === task.type &&
    header.timeout === task.timeoutMs &&
    header.attempts === task.maxAttempts &&
    header.agent_id === task.agent_id &&
    header.parent_task_id === task.parent_task_id &&
    header.requested_by === task.requested_by
  );
}

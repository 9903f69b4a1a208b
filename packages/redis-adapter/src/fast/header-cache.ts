import type { TaskMetadata } from '@agent-orchestrator/core';
import type { NewTask } from '@agent-orchestrator/core/storage';
import { createdData } from '../tasks/new-items.js';
import { headerOf, tailOf, type TaskHeader, type TaskOrigin } from '../tasks/task-codec.js';

/** Record of a task besides its id and its payload. */
export interface WrittenHeader {
  /** First line of the task, without the fields that the script adds; and its end as JSON, see `recordOf`. */
  readonly header: Omit<TaskHeader, 'at' | 'sequence'>;
  readonly tail: string;
  /** Data of its first event, as JSON. */
  readonly data: string;
}

/** Number of cached headers, the newest. */
const KEPT = 16;

/**
 * Cache of written headers of fast tasks: most are like an earlier one. Tasks with metadata are not cached,
 * since it belongs to the caller.
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

/** Whether a task without metadata has the same header. */
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

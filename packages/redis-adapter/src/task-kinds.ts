import type { NewTask } from '@agent-orchestrator/core';
import { createdData } from './new-items.js';
import { taskTail } from './task-view.js';

const DIGITS = 4;
/** How many kinds before the newest a task is compared with before its head is written. */
const LOOKED_AT = 16;

/** Of what is no task. */
export const NO_KIND = label(0);

interface Kind {
  /** Four digits, from 1 on. */
  readonly label: string;
  readonly first: NewTask;
  /** The end of the first line of its tasks, after what the script adds. */
  readonly tail: string;
}

/** What tasks of a batch have in common, which is all but their ids and payloads: written once, known by a label. */
export class TaskKinds {
  /** For each kind: 9 - priority, the limit of its tasks, data of their event. */
  readonly args: (string | number)[] = [];
  readonly #byTail = new Map<string, Kind>();
  readonly #newest: Kind[] = [];

  #type: string | undefined;

  constructor(private readonly batchId: string) {}

  get count(): number {
    return this.#byTail.size;
  }

  /** That of all tasks, or nothing when they differ. */
  get type(): string {
    return this.#type ?? '';
  }

  of(task: NewTask): Kind {
    for (const kind of this.#newest) if (areAlike(kind.first, task)) return kind;
    const tail = taskTail(task, { batchId: this.batchId });
    let kind = this.#byTail.get(tail);
    if (!kind) {
      kind = { label: label(this.count + 1), first: task, tail };
      this.#type = this.count === 0 || this.#type === task.type ? task.type : '';
      this.#byTail.set(tail, kind);
      if (this.#newest.length === LOOKED_AT) this.#newest.shift();
      this.#newest.push(kind);
      this.args.push(9 - task.priority, task.timeoutMs, createdData(task));
    }
    return kind;
  }
}

function label(number: number): string {
  return String(number).padStart(DIGITS, '0');
}

/** Whether the same is written of both, as far as that is seen at once. */
function areAlike(one: NewTask, other: NewTask): boolean {
  return (
    one.priority === other.priority &&
    one.type === other.type &&
    one.timeoutMs === other.timeoutMs &&
    one.maxAttempts === other.maxAttempts &&
    one.metadata === other.metadata &&
    one.agent_id === other.agent_id &&
    one.parent_task_id === other.parent_task_id &&
    one.requested_by === other.requested_by
  );
}

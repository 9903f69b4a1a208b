import type { NewTask } from '@agent-orchestrator/core/storage';
import { HeaderCache } from './header-cache.js';

const DIGITS = 4;

/** Label of an item without a task. */
export const NO_KIND = label(0);

interface Kind {
  /** Four digits, from 1 on. */
  readonly label: string;
  /** The end of the first line of its tasks, see `recordOf`. */
  readonly tail: string;
}

/**
 * Common parts of a batch's tasks, which is all but their ids and payloads: written once, referred to by a
 * label.
 */
export class TaskKinds {
  /** For each kind: 9 - priority, deadline in ms, data of the event. */
  readonly args: (string | number)[] = [];
  readonly #headers: HeaderCache;
  readonly #byTail = new Map<string, Kind>();
  #type: string | undefined;

  constructor(batchId: string) {
    this.#headers = new HeaderCache({ batchId });
  }

  get count(): number {
    return this.#byTail.size;
  }

  /** Common type of all tasks, or '' when they differ. */
  get type(): string {
    return this.#type ?? '';
  }

  of(task: NewTask): Kind {
    const { tail, data } = this.#headers.of(task);
    let kind = this.#byTail.get(tail);
    if (!kind) {
      kind = { label: label(this.count + 1), tail };
      this.#type = this.count === 0 || this.#type === task.type ? task.type : '';
      this.#byTail.set(tail, kind);
      this.args.push(9 - task.priority, task.timeoutMs, data);
    }
    return kind;
  }
}

function label(number: number): string {
  return String(number).padStart(DIGITS, '0');
}

import type { JsonValue, Task } from '@agent-orchestrator/core';
import { type TaskHeader, TaskView } from './task-codec.js';

/** Limits of remembered tasks and their characters; when reached, all are forgotten. */
const MAX_TASKS = 1_000;
const MAX_CHARACTERS = 1_048_576;

interface Submitted {
  readonly header: TaskHeader;
  /** JSON. */
  readonly payload: string;
}

/** End of a task that was only submitted and run. */
export interface FastCompletion {
  readonly version: number;
  /** Epoch ms. */
  readonly at: number;
  readonly result: JsonValue;
}

/**
 * Recent submissions of this process, kept while it has a waiter: the task of a completion is then known
 * without a read.
 */
export class RecentSubmissions {
  #submitted = new Map<string, Submitted>();
  #characters = 0;

  remember(tenantId: string, taskId: string, submitted: Submitted): void {
    this.#characters += submitted.payload.length;
    if (this.#submitted.size >= MAX_TASKS || this.#characters > MAX_CHARACTERS) {
      this.#submitted = new Map();
      this.#characters = submitted.payload.length;
    }
    this.#submitted.set(keyOf(tenantId, taskId), submitted);
  }

  /** Forgets an ended task. @returns a function that makes a new view of the task at each call. */
  ended(tenantId: string, taskId: string, { version, at, result }: FastCompletion): (() => Task) | undefined {
    const key = keyOf(tenantId, taskId);
    const submitted = this.#submitted.get(key);
    if (!submitted) return undefined;
    this.#submitted.delete(key);
    this.#characters -= submitted.payload.length;
    const { header, payload } = submitted;
    let outcome: string | undefined;
    return () =>
      new TaskView(tenantId, {
        taskId,
        header,
        payload,
        state: { state: 'completed', version, attempt: 1, rev: 3, ended: at },
        outcome: (outcome ??= JSON.stringify(result)),
        steps: [],
      });
  }
}

function keyOf(tenantId: string, taskId: string): string {
  return `${tenantId}/${taskId}`;
}

import type { JsonValue, Task } from '@agent-orchestrator/core';
import { type TaskHeader, TaskView } from './task-codec.js';

/** So many are remembered, of so many characters in all; then it begins anew. */
const MOST = 1_000;
const MOST_CHARACTERS = 1_048_576;

interface Submitted {
  readonly header: TaskHeader;
  /** JSON. */
  readonly payload: string;
}

/** How a task ended that nothing happened to but that it was run. */
export interface FastCompletion {
  readonly version: number;
  /** In milliseconds since 1970. */
  readonly at: number;
  readonly result: JsonValue;
}

/**
 * What was submitted from here of late, while somebody waits here for tasks: when he hears of their end, what they look like
 * is known without asking.
 */
export class OwnSubmissions {
  #submitted = new Map<string, Submitted>();
  #characters = 0;

  note(tenantId: string, taskId: string, submitted: Submitted): void {
    this.#characters += submitted.payload.length;
    if (this.#submitted.size >= MOST || this.#characters > MOST_CHARACTERS) {
      this.#submitted = new Map();
      this.#characters = submitted.payload.length;
    }
    this.#submitted.set(keyOf(tenantId, taskId), submitted);
  }

  /** Forgets one that has ended. @returns what makes the task as it is now, each time anew. */
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

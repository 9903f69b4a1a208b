import { addCopy, RESULT } from '../protocol/bounded-json.js';
import type { JsonValue } from '../protocol/json.js';
import { unreadText } from '../protocol/known-text.js';
import type { TurnsOptions } from '../protocol/loop-turns.js';
import { readField } from '../protocol/portioned-json.js';
import type { Settlement } from '../storage/task-queue.js';

type Completed = Extract<Settlement, { readonly kind: 'completed' }>;

/** A throw before the first `await` counts like a rejection. */
export function called(fn: () => unknown): Promise<unknown> {
  try {
    return Promise.resolve(fn());
  } catch (error) {
    return Promise.reject(error);
  }
}

/**
 * Reads a large field that the function gets. When its signal fires, the function hears of that itself, and gets the field
 * all the same, unless its run is over. Nothing to wait for with a small field.
 */
export function readUntilOver<T extends object>(
  holder: T,
  field: keyof T & string,
  { turns, isOver }: { readonly turns: () => TurnsOptions; readonly isOver: () => boolean },
): Promise<void> | undefined {
  return readField(holder, field, turns)?.catch(() => {
    const { signal: _, ...rest } = turns();
    return isOver() ? undefined : readField(holder, field, () => rest);
  });
}

/**
 * What the function has returned as the end of its task, which is not rev by what becomes of that later.
 * @throws {OrchestratorError} `result_too_large`; `workflow_error` for what can't be JSON.
 */
export function completionOf(
  value: unknown,
  { task_id: taskId, session_id }: { readonly task_id: string; readonly session_id?: string | undefined },
): Completed {
  const completed: { -readonly [K in keyof Completed]: Completed[K] } = { kind: 'completed', result: null };
  addCopy(completed, 'result', value, RESULT);
  const content = session_id === undefined ? undefined : answerOf(value, completed);
  if (content !== undefined) completed.answer = { message_id: `${taskId}-answer`, content };
  return completed;
}

/** What of a result is said in the session: its `content`, or its `answer`. A large one is not read for that. */
function answerOf(value: unknown, completed: { readonly result: JsonValue }): string | undefined {
  const isLarge = unreadText(completed, 'result') !== undefined;
  const said = (isLarge ? saidBy(value) : undefined) ?? saidBy(completed.result);
  return said?.text;
}

/** Nothing for what is not certain to be the same as JSON. */
function saidBy(value: unknown): { readonly text: string | undefined } | undefined {
  if (Array.isArray(value)) return { text: undefined };
  if (typeof value !== 'object' || value === null) return undefined;
  if (Object.getPrototypeOf(value) !== Object.prototype || 'toJSON' in value) return undefined;
  const { content, answer } = value as Readonly<Record<string, unknown>>;
  const said = content ?? answer;
  if (typeof said === 'object' || typeof said === 'function') return undefined;
  return { text: typeof said === 'string' ? said : undefined };
}

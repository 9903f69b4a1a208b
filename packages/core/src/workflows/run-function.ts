import { addCopy, RESULT } from '../protocol/bounded-json.js';
import type { JsonValue } from '../protocol/json.js';
import { unreadText } from '../protocol/known-text.js';
import type { TurnsOptions } from '../protocol/loop-turns.js';
import { readField } from '../protocol/portioned-json.js';
import type { Settlement } from '../storage/task-queue.js';

type Completed = Extract<Settlement, { readonly kind: 'completed' }>;

/** How a workflow function has ended. */
export type Settled =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly error: unknown };

/** Calls `fn`; a synchronous throw becomes a rejection. */
export function called(fn: () => unknown): Promise<unknown> {
  try {
    return Promise.resolve(fn());
  } catch (error) {
    return Promise.reject(error);
  }
}

/**
 * Parses a large field for the function; `undefined` for a small one. If the signal fires meanwhile, parsing still completes,
 * since the function handles cancellation itself, unless the run is over.
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
 * The function's return value as a settlement, copied: later changes of the value have no effect.
 * @throws {OrchestratorError} `result_too_large`; `workflow_error` for values that can't be JSON.
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

/** The session message in a result: its `content` or `answer`. Avoids parsing large results. */
function answerOf(value: unknown, completed: { readonly result: JsonValue }): string | undefined {
  const isLarge = unreadText(completed, 'result') !== undefined;
  const message = (isLarge ? messageIn(value) : undefined) ?? messageIn(completed.result);
  return message?.text;
}

/** `undefined` if the value may differ from its JSON round trip. */
function messageIn(value: unknown): { readonly text: string | undefined } | undefined {
  if (Array.isArray(value)) return { text: undefined };
  if (typeof value !== 'object' || value === null) return undefined;
  if (Object.getPrototypeOf(value) !== Object.prototype || 'toJSON' in value) return undefined;
  const { content, answer } = value as Readonly<Record<string, unknown>>;
  const message = content ?? answer;
  if (typeof message === 'object' || typeof message === 'function') return undefined;
  return { text: typeof message === 'string' ? message : undefined };
}

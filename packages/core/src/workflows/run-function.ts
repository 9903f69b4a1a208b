import type { JsonValue } from '../protocol/json.js';

/** A throw before the first `await` counts like a rejection. */
export function called(fn: () => unknown): Promise<unknown> {
  try {
    return Promise.resolve(fn());
  } catch (error) {
    return Promise.reject(error);
  }
}

/** What of a result is said in the session: its `content`, or its `answer`. */
export function answerOf(result: JsonValue): string | undefined {
  if (typeof result !== 'object' || result === null || Array.isArray(result)) return undefined;
  const said = result['content'] ?? result['answer'];
  return typeof said === 'string' ? said : undefined;
}

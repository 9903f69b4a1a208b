import { boundedJson } from '../protocol/bounded-json.js';
import type { JsonObject } from '../protocol/json.js';

const RULE = { what: 'context after the merge', tooLarge: 'payload_too_large' } as const;

/**
 * A session's context with a change: a `null` removes its field.
 * @throws {OrchestratorError} `payload_too_large` for more than 1 MiB in all.
 */
export function mergedContext(before: JsonObject, change: JsonObject): JsonObject {
  if (Object.keys(before).length === 0 && !Object.values(change).includes(null))
    return boundedJson(change, RULE) as JsonObject;
  // From entries, so that a key like `__proto__` is a key.
  const all = new Map([...Object.entries(before), ...Object.entries(change)]);
  const kept = [...all].filter(([, value]) => value !== null);
  return boundedJson(Object.fromEntries(kept), RULE) as JsonObject;
}

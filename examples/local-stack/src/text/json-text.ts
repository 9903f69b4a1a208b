import type { JsonValue } from '@agent-orchestrator/core';

/** A value for readers: a string as it is, `undefined` as empty text, the rest as JSON. */
export function textOfJson(value: JsonValue | undefined): string {
  if (value === undefined) return '';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

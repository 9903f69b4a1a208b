import type { JsonValue } from '@agent-orchestrator/core';

/** A value as a reader sees it: a string as it is, nothing as nothing, the rest as JSON. */
export function textOfJson(value: JsonValue | undefined): string {
  if (value === undefined) return '';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

import { OrchestratorError } from './errors.js';
import { type JsonValue, MAX_RESULT_BYTES } from './json.js';

/** What needs neither measuring nor copying. */
export function isSmall(value: unknown): value is null | boolean | number {
  return (
    value === null || typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value))
  );
}

/**
 * A result as JSON carries it: a copy, `null` for what JSON has no word for.
 *
 * @throws {OrchestratorError} `result_too_large` for more than 1 MiB; a `TypeError` for what can't be JSON, such as a cycle.
 */
export function toBoundedJson(value: unknown): JsonValue {
  if (isSmall(value)) return value;
  const text = JSON.stringify(value ?? null) ?? 'null';
  const bytes = Buffer.byteLength(text);
  if (bytes > MAX_RESULT_BYTES) {
    throw new OrchestratorError(
      'result_too_large',
      `expected a result of at most ${MAX_RESULT_BYTES} bytes, got ${bytes}`,
    );
  }
  return JSON.parse(text) as JsonValue;
}

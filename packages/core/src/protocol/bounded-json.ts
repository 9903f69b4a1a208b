import { OrchestratorError } from './errors.js';
import { type JsonValue, MAX_JSON_DEPTH, MAX_RESULT_BYTES } from './json.js';

/** What needs neither measuring nor copying. */
export function isSmall(value: unknown): value is null | boolean | number {
  return (
    value === null || typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value))
  );
}

/** A character takes six bytes at most, as "\\u0000" does; a number has fewer characters than this. */
const BYTES_A_CHARACTER = 6;
const BYTES_A_NUMBER = 25;

/**
 * Whether `value` is certain to take at most `bytes` as JSON: a look at its lengths, which takes a fraction of writing it.
 * `false` says nothing: it is to be measured.
 */
export function surelyFits(value: unknown, bytes: number): boolean {
  return roomLeft(value, bytes, MAX_JSON_DEPTH) >= 0;
}

/** What is left of `room`; less than nothing for what may not fit, or whose JSON only JSON knows. */
function roomLeft(value: unknown, room: number, depth: number): number {
  if (typeof value === 'string') return room - value.length * BYTES_A_CHARACTER - 2;
  if (typeof value === 'number' || typeof value === 'boolean' || value === null) return room - BYTES_A_NUMBER;
  if (typeof value !== 'object' || depth === 0) return -1;
  const kind: unknown = Object.getPrototypeOf(value);
  let left = room - 2;
  if (kind === Array.prototype) {
    for (const item of value as readonly unknown[]) {
      if (left < 0) break;
      left = roomLeft(item, left - 1, depth - 1);
    }
    return left;
  }
  if (kind !== Object.prototype && kind !== null) return -1;
  for (const key of Object.keys(value)) {
    if (left < 0) break;
    const field = (value as Record<string, unknown>)[key];
    if (field !== undefined) left = roomLeft(field, left - key.length * BYTES_A_CHARACTER - 4, depth - 1);
  }
  return left;
}

/**
 * What JSON makes of a value when it is written and read, for those that are made of nothing else than what JSON has: a
 * copy, which takes a fraction of doing so. `undefined` for all others.
 */
export function plainCopy(value: unknown): JsonValue | undefined {
  return copied(value, MAX_JSON_DEPTH);
}

function copied(value: unknown, depth: number): JsonValue | undefined {
  if (typeof value === 'string' || typeof value === 'boolean' || value === null) return value;
  // There is one zero in JSON.
  if (typeof value === 'number') return Number.isFinite(value) ? value + 0 : null;
  if (typeof value !== 'object' || depth === 0) return undefined;
  const kind: unknown = Object.getPrototypeOf(value);
  if (kind === Array.prototype) return copiedList(value as readonly unknown[], depth);
  if (kind !== Object.prototype && kind !== null) return undefined;
  const copy: Record<string, JsonValue> = {};
  for (const key of Object.keys(value)) {
    const field = (value as Record<string, unknown>)[key];
    if (field === undefined) continue;
    const of = copied(field, depth - 1);
    if (of === undefined || key === '__proto__') return undefined;
    copy[key] = of;
  }
  return copy;
}

function copiedList(list: readonly unknown[], depth: number): JsonValue[] | undefined {
  const copy: JsonValue[] = [];
  for (const item of list) {
    const of = copied(item, depth - 1);
    if (of === undefined) return undefined;
    copy.push(of);
  }
  return copy;
}

/**
 * A result as JSON carries it: a copy, `null` for what JSON has no word for.
 *
 * @throws {OrchestratorError} `result_too_large` for more than 1 MiB; a `TypeError` for what can't be JSON, such as a cycle.
 */
export function toBoundedJson(value: unknown): JsonValue {
  if (isSmall(value)) return value;
  const plain = surelyFits(value, MAX_RESULT_BYTES) ? plainCopy(value) : undefined;
  if (plain !== undefined) return plain;
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

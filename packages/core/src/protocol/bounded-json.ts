import { type ErrorCode, OrchestratorError } from './errors.js';
import { isDeeper, type JsonValue, MAX_RESULT_BYTES } from './json.js';
import { addUnread, composedText, knownText, MAX_READ_AT_ONCE, unreadText } from './known-text.js';
import { messageOf } from './thrown.js';

/** Maximum nesting of a value. The wire allows less, see `MAX_JSON_DEPTH`. */
const MAX_VALUE_DEPTH = 512;

/** Upper bounds: an escaped character such as "\\u0000" takes 6 bytes; a number fewer than 25. */
const BYTES_PER_CHARACTER = 6;
const BYTES_PER_NUMBER = 25;

/** Size limit, error codes and the name of the value in errors. */
export interface JsonRule {
  readonly what: string;
  /** Default `result_too_large`. */
  readonly tooLarge?: ErrorCode;
  /** For values that can't be JSON, such as a cycle. Default `invalid_request`. */
  readonly invalid?: ErrorCode;
  /** Default 1 MiB. */
  readonly maxBytes?: number;
}

/**
 * Whether `value` equals its JSON round trip and certainly takes at most `room` bytes. A scan, much cheaper than serialising.
 * `false` is inconclusive: the value has to be serialised.
 */
export function isJsonOnly(value: unknown, room: number): boolean {
  return roomLeft(value, room, MAX_VALUE_DEPTH) >= 0;
}

/** Remaining `room`; negative for values that may not fit or differ from their JSON round trip. */
function roomLeft(value: unknown, room: number, depth: number): number {
  if (typeof value === 'string') return room - value.length * BYTES_PER_CHARACTER - 2;
  if (typeof value === 'number')
    return Number.isFinite(value) && !Object.is(value, -0) ? room - BYTES_PER_NUMBER : -1;
  if (typeof value === 'boolean' || value === null) return room - BYTES_PER_NUMBER;
  if (typeof value !== 'object' || depth === 0) return -1;
  const kind: unknown = Object.getPrototypeOf(value);
  if (kind === Array.prototype) return roomLeftByList(value as readonly unknown[], room - 2, depth);
  if (kind !== Object.prototype) return -1;
  let left = room - 2;
  for (const key of Object.keys(value)) {
    if (left < 0) return -1;
    if (key === '__proto__' || key === 'toJSON') return -1;
    const part = (value as Record<string, unknown>)[key];
    left = roomLeft(part, left - key.length * BYTES_PER_CHARACTER - 4, depth - 1);
  }
  return left;
}

function roomLeftByList(list: readonly unknown[], room: number, depth: number): number {
  if ('toJSON' in list) return -1;
  let left = room;
  for (const item of list) {
    if (left < 0) return -1;
    left = roomLeft(item, left - 1, depth - 1);
  }
  return left;
}

/**
 * Whether `value` certainly takes more than `room` bytes as JSON. Scans no more than that: a value that refers to the same part
 * a thousand times is small in memory and large as text. `false` is inconclusive.
 */
export function exceedsAsJson(value: unknown, room: number): boolean {
  return minJsonBytes(value, room) > room;
}

/** Lower bound of the bytes of `value` as JSON; any number above `max` once it exceeds `max`. */
export function minJsonBytes(value: unknown, max: number): number {
  return max - roomAtMost(value, max, MAX_VALUE_DEPTH);
}

/** Upper bound of the remaining `room`. Objects with a `toJSON` or a class of their own count as 1 byte. */
function roomAtMost(value: unknown, room: number, depth: number): number {
  if (typeof value === 'string') return room - value.length - 2;
  if (typeof value !== 'object' || value === null || depth === 0) return room - 1;
  if (Array.isArray(value)) {
    let left = room - 1 - Math.max(value.length, 1);
    for (let at = 0; at < value.length && left >= 0; at += 1) {
      left = roomAtMost(value[at], left, depth - 1);
    }
    return left;
  }
  if (Object.getPrototypeOf(value) !== Object.prototype || 'toJSON' in value) return room - 1;
  let left = room - 1;
  for (const key of Object.keys(value)) {
    if (left < 0) break;
    const part: unknown = (value as Record<string, unknown>)[key];
    // JSON omits fields that are undefined, functions or symbols.
    if (part === undefined || typeof part === 'function' || typeof part === 'symbol') continue;
    left = roomAtMost(part, left - key.length - 4, depth - 1);
  }
  return left;
}

/** Deep copy of a JSON value, so that stored values share nothing with the caller's. */
export function copyJson<T extends JsonValue | undefined>(value: T): T {
  if (value === null || typeof value !== 'object') return value;
  if (Array.isArray(value)) return value.map((item) => copyJson(item)) as T;
  const copy: { [key: string]: JsonValue } = {};
  for (const key of Object.keys(value)) {
    const part = copyJson(value[key] as JsonValue);
    if (key !== '__proto__') copy[key] = part;
    else
      Object.defineProperty(copy, key, { value: part, writable: true, enumerable: true, configurable: true });
  }
  return copy as T;
}

/**
 * The value after a JSON round trip: `null` for values without a JSON form; dates and objects with a `toJSON` converted.
 * Returns the value itself if it is unchanged by that, so a caller that keeps it copies it first.
 *
 * @throws {OrchestratorError} the rule's `tooLarge` above `maxBytes`; `invalid` for values that can't be JSON: a cycle, a
 * BigInt, a throwing getter, more than 512 levels.
 */
export function boundedJson(value: unknown, rule: JsonRule): JsonValue {
  const { maxBytes = MAX_RESULT_BYTES } = rule;
  const known = knownText(value);
  if (known !== undefined) return ofBoundedText(value as JsonValue, known, rule, maxBytes);
  try {
    if (isJsonOnly(value, maxBytes)) return value as JsonValue;
  } catch {
    // A getter or a Proxy throws: serialising below reports it.
  }
  return throughText(value, rule, maxBytes);
}

/** The value as JSON text, see `boundedJson`. */
export function boundedText(value: unknown, rule: JsonRule): string {
  const { maxBytes = MAX_RESULT_BYTES } = rule;
  const composed = composedText(value);
  if (composed === undefined) return JSON.stringify(boundedJson(value, rule));
  const bytes = Buffer.byteLength(composed);
  if (bytes > maxBytes) throw tooLarge(rule, maxBytes, bytes);
  return composed;
}

/**
 * Sets a field of `holder` to a copy of `value`, see `copiedJson`. Large values are kept as text, since most are only stored
 * or sent.
 */
export function addCopy<T extends object>(
  holder: T,
  field: keyof T & string,
  value: unknown,
  rule: JsonRule,
): void {
  const text = textOfLarge(value, rule);
  if (text === undefined) holder[field] = copiedJson(value, rule) as T[typeof field];
  else addUnread(holder, field, text);
}

/** Like `addCopy`, from a field of `from`, reusing its text if known. */
export function addFieldCopy<F extends string>(
  from: { readonly [K in F]: unknown },
  to: { [K in F]: unknown },
  field: F,
  rule: JsonRule,
): void {
  const text = unreadText(from, field);
  if (text === undefined) addCopy(to, field, from[field], rule);
  else addUnread(to, field, text);
}

/** `undefined` for small values, and for values whose size is not certain. */
function textOfLarge(value: unknown, rule: JsonRule): string | undefined {
  const { maxBytes = MAX_RESULT_BYTES } = rule;
  const known = knownText(value);
  if (known !== undefined) {
    checkText(known, rule);
    return known;
  }
  try {
    if (!exceedsAsJson(value, MAX_READ_AT_ONCE)) return undefined;
    if (exceedsAsJson(value, maxBytes)) throw tooLarge(rule, maxBytes, 'more');
    const text = JSON.stringify(value);
    const bytes = Buffer.byteLength(text);
    if (bytes > maxBytes) throw tooLarge(rule, maxBytes, bytes);
    if (isDeeper(text, MAX_VALUE_DEPTH)) throw notJson(`more than ${MAX_VALUE_DEPTH} levels`, rule);
    return text;
  } catch (error) {
    throw error instanceof OrchestratorError ? error : notJson(error, rule);
  }
}

/** Checks the size of a field kept as text; throws as `boundedJson` does. */
export function checkText(text: string, rule: JsonRule): void {
  ofBoundedText(null, text, rule, rule.maxBytes ?? MAX_RESULT_BYTES);
}

function ofBoundedText(value: JsonValue, text: string, rule: JsonRule, maxBytes: number): JsonValue {
  const bytes = Buffer.byteLength(text);
  if (bytes > maxBytes) throw tooLarge(rule, maxBytes, bytes);
  return value;
}

/** Like `boundedJson`, but always a copy, except for values whose text is known: those are immutable. */
export function copiedJson(value: unknown, rule: JsonRule): JsonValue {
  const bounded = boundedJson(value, rule);
  if (
    knownText(bounded) !== undefined ||
    bounded !== value ||
    bounded === null ||
    typeof bounded !== 'object'
  )
    return bounded;
  try {
    return copyJson(bounded);
  } catch (error) {
    throw notJson(error, rule);
  }
}

function throughText(value: unknown, rule: JsonRule, maxBytes: number): JsonValue {
  let text: string;
  try {
    if (exceedsAsJson(value, maxBytes)) throw tooLarge(rule, maxBytes, 'more');
    text = JSON.stringify(value ?? null) ?? 'null';
  } catch (error) {
    throw error instanceof OrchestratorError ? error : notJson(error, rule);
  }
  const bytes = Buffer.byteLength(text);
  if (bytes > maxBytes) throw tooLarge(rule, maxBytes, bytes);
  if (isJsonOnly(value, Number.POSITIVE_INFINITY)) return value as JsonValue;
  const read = JSON.parse(text) as JsonValue;
  if (depthExceeds(read, MAX_VALUE_DEPTH)) throw notJson(`more than ${MAX_VALUE_DEPTH} levels`, rule);
  return read;
}

function tooLarge({ what, tooLarge = 'result_too_large' }: JsonRule, maxBytes: number, got: number | 'more') {
  const message = `${what}: expected at most ${maxBytes} bytes as JSON, got ${got}`;
  return new OrchestratorError(tooLarge, message, { retryable: false });
}

function depthExceeds(value: JsonValue, levels: number): boolean {
  if (value === null || typeof value !== 'object') return false;
  if (levels === 0) return true;
  for (const part of Object.values(value)) if (depthExceeds(part, levels - 1)) return true;
  return false;
}

function notJson(error: unknown, { what, invalid = 'invalid_request' }: JsonRule): OrchestratorError {
  const got = typeof error === 'string' ? error : reasonOf(messageOf(error));
  return new OrchestratorError(invalid, `${what}: expected a value that JSON can carry, got ${got}`, {
    cause: error,
    retryable: false,
  });
}

/** A safe description: the message of a throwing getter or `toJSON` is foreign. */
function reasonOf(message: string): string {
  if (/circular/i.test(message)) return 'a cycle';
  if (/BigInt/.test(message)) return 'a BigInt';
  if (/call stack/i.test(message)) return `more than ${MAX_VALUE_DEPTH} levels`;
  return 'a value that throws when read';
}

/** Rule for the results of workflows and steps. */
export const RESULT = { what: 'the result', invalid: 'workflow_error' } as const;

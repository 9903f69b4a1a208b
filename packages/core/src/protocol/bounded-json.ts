import { type ErrorCode, OrchestratorError } from './errors.js';
import { isDeeper, type JsonValue, MAX_RESULT_BYTES } from './json.js';
import { addUnread, composedText, knownText, MAX_READ_AT_ONCE, unreadText } from './known-text.js';
import { messageOf } from './thrown.js';

/** How deep a value may be nested. What comes over the wire may be less deep, see `MAX_JSON_DEPTH`. */
export const MAX_VALUE_DEPTH = 512;

/** A character takes six bytes at most, as "\\u0000" does; a number has fewer characters than this. */
const BYTES_A_CHARACTER = 6;
const BYTES_A_NUMBER = 25;

/** How a value is called in an error, and which codes say what is wrong with it. */
export interface JsonRule {
  readonly what: string;
  /** Default `result_too_large`. */
  readonly tooLarge?: ErrorCode;
  /** For what can't be JSON, such as a cycle. Default `invalid_request`. */
  readonly invalid?: ErrorCode;
  /** Default 1 MiB. */
  readonly maxBytes?: number;
}

/**
 * Whether `value` is JSON as it would be read again, and certain to take at most `room` bytes when it is written: a look
 * at its parts, which takes a fraction of writing it. `false` says nothing: then JSON has to write it.
 */
export function isJsonOnly(value: unknown, room: number): boolean {
  return roomLeft(value, room, MAX_VALUE_DEPTH) >= 0;
}

/** What is left of `room`; less than nothing for what may not fit, or is not JSON as it stands. */
function roomLeft(value: unknown, room: number, depth: number): number {
  if (typeof value === 'string') return room - value.length * BYTES_A_CHARACTER - 2;
  if (typeof value === 'number')
    return Number.isFinite(value) && !Object.is(value, -0) ? room - BYTES_A_NUMBER : -1;
  if (typeof value === 'boolean' || value === null) return room - BYTES_A_NUMBER;
  if (typeof value !== 'object' || depth === 0) return -1;
  const kind: unknown = Object.getPrototypeOf(value);
  if (kind === Array.prototype) return roomLeftByList(value as readonly unknown[], room - 2, depth);
  if (kind !== Object.prototype) return -1;
  let left = room - 2;
  for (const key of Object.keys(value)) {
    if (left < 0) return -1;
    if (key === '__proto__' || key === 'toJSON') return -1;
    const part = (value as Record<string, unknown>)[key];
    left = roomLeft(part, left - key.length * BYTES_A_CHARACTER - 4, depth - 1);
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
 * Whether `value` is certain to take more than `room` bytes as JSON, with a look at no more of it than that: a value
 * that holds the same part a thousand times is small in memory and large as text. `false` says nothing.
 */
export function exceedsAsJson(value: unknown, room: number): boolean {
  return leastJsonBytes(value, room) > room;
}

/** How many bytes `value` takes as JSON at least; some number above `most` where it is more than that. */
export function leastJsonBytes(value: unknown, most: number): number {
  return most - roomAtMost(value, most, MAX_VALUE_DEPTH);
}

/** What is left of `room` if each part takes as little as it can. Only what has no say in its own text is looked into. */
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
    // A field without a value, or with a function for one, is left out of the text.
    if (part === undefined || typeof part === 'function' || typeof part === 'symbol') continue;
    left = roomAtMost(part, left - key.length - 4, depth - 1);
  }
  return left;
}

/** A deep copy of what is JSON: what is stored shares nothing with what callers hold. */
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
 * The value as JSON reads it again: `null` for what JSON has no word for, dates and everything with a `toJSON` as that
 * says. The value itself where it is so already, else a copy: a caller that keeps the value copies it first.
 *
 * @throws {OrchestratorError} `tooLarge` of the rule for more than `maxBytes`; `invalid` for what can't be JSON, such as a
 * cycle, a BigInt, a getter that throws, or more than 512 levels.
 */
export function boundedJson(value: unknown, rule: JsonRule): JsonValue {
  const { maxBytes = MAX_RESULT_BYTES } = rule;
  const known = knownText(value);
  if (known !== undefined) return ofBoundedText(value as JsonValue, known, rule, maxBytes);
  try {
    if (isJsonOnly(value, maxBytes)) return value as JsonValue;
  } catch {
    // A getter or a Proxy throws: JSON says below what it makes of that.
  }
  return throughText(value, rule, maxBytes);
}

/** What it is as JSON, see `boundedJson`. */
export function boundedText(value: unknown, rule: JsonRule): string {
  const { maxBytes = MAX_RESULT_BYTES } = rule;
  const composed = composedText(value);
  if (composed === undefined) return JSON.stringify(boundedJson(value, rule));
  const bytes = Buffer.byteLength(composed);
  if (bytes > maxBytes) throw tooLarge(rule, maxBytes, bytes);
  return composed;
}

/**
 * Gives `holder` a copy of `value` as a field, see `copiedJson`: a large one as text, since most of those are only stored or
 * sent.
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

/** The same of a field of `from`, whose text may be there already: `to` shares nothing with it. */
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

/** Nothing for what is small, or may have its own say in what it is as JSON. */
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

/** What is said of a field that is there as text, see `boundedJson`. */
export function checkText(text: string, rule: JsonRule): void {
  ofBoundedText(null, text, rule, rule.maxBytes ?? MAX_RESULT_BYTES);
}

function ofBoundedText(value: JsonValue, text: string, rule: JsonRule, maxBytes: number): JsonValue {
  const bytes = Buffer.byteLength(text);
  if (bytes > maxBytes) throw tooLarge(rule, maxBytes, bytes);
  return value;
}

/** The same, always as a copy: but for a value whose text is known, which must not change. */
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

/** In our own words: those of a getter or a `toJSON` that throws are foreign. */
function reasonOf(message: string): string {
  if (/circular/i.test(message)) return 'a cycle';
  if (/BigInt/.test(message)) return 'a BigInt';
  if (/call stack/i.test(message)) return `more than ${MAX_VALUE_DEPTH} levels`;
  return 'something that throws when it is read';
}

/** How what a workflow or a step gives back is called. */
export const RESULT = { what: 'the result', invalid: 'workflow_error' } as const;

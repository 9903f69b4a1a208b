import { z } from 'zod';

/** Any JSON value. */
export type JsonValue = string | number | boolean | null | JsonValue[] | { [key: string]: JsonValue };
/** Input of `JSON.stringify`: `undefined` fields are omitted. */
export type JsonInput =
  | string
  | number
  | boolean
  | null
  | undefined
  | readonly JsonInput[]
  | { readonly [key: string]: JsonInput };
/** A value for the wire: `JsonInput`, or an object of a declared type. Checked when it is used: functions, symbols and bigints are refused. */
export type JsonArgument = JsonInput | object;
/** A JSON object. */
export type JsonObject = { [key: string]: JsonValue };

/** Size limit on the wire, in bytes: responses, frames, results and request bodies. */
export const MAX_RESULT_BYTES = 1024 * 1024;
/** Maximum nesting of JSON on the wire. */
export const MAX_JSON_DEPTH = 32;

const DANGEROUS_KEYS = new Set(['__proto__', 'constructor', 'prototype']);

/** JSON was rejected. `reason` is safe to show to the sender. */
export class JsonRefusedError extends Error {
  override readonly name = 'JsonRefusedError';
  constructor(readonly reason: string) {
    super(reason);
  }
}

/**
 * Parses untrusted JSON: bounds the depth, rejects keys that reach into prototypes. The caller bounds the size while
 * receiving.
 *
 * @throws {JsonRefusedError} with the reason.
 */
export function parseJson(text: string): JsonValue {
  let value: JsonValue;
  try {
    value = JSON.parse(text) as JsonValue;
  } catch (error) {
    throw new JsonRefusedError(`expected JSON, got ${mistakeOf(error)}`);
  }
  if (mayHaveDangerousKeys(text) || isDeeper(text, MAX_JSON_DEPTH)) refuseDangerous(value, 1, '');
  return value;
}

/** Node's parse error without the quoted text, which the reader of the error may not be allowed to see. */
export function mistakeOf(error: unknown): string {
  return (error as Error).message.replace(/,? (?:\.\.\.)?".*"(?:\.\.\.)? is not valid JSON$/s, '');
}

/** Scan of the text, much cheaper than a traversal of the value. Keys may also be written with escapes. */
export function mayHaveDangerousKeys(text: string): boolean {
  return /__proto__|constructor|prototype|\\u/.test(text);
}

/** Whether a JSON text is nested deeper than `levels`. */
export function isDeeper(text: string, levels: number): boolean {
  let depth = 0;
  for (let at = 0; at < text.length; at += 1) {
    const character = text.charCodeAt(at);
    if (character === QUOTE) at = endOfString(text, at);
    else if (character === BRACKET || character === BRACE) {
      depth += 1;
      if (depth > levels) return true;
    } else if (character === BRACKET + 2 || character === BRACE + 2) depth -= 1;
  }
  return false;
}

export const [QUOTE, BRACKET, BRACE, COMMA] = [0x22, 0x5b, 0x7b, 0x2c];
const BACKSLASH = 0x5c;

/** Index of the closing quote of the string at `from`; the text's length if unterminated. */
export function endOfString(text: string, from: number): number {
  let at = from + 1;
  while (at < text.length) {
    const character = text.charCodeAt(at);
    if (character === QUOTE) return at;
    at += character === BACKSLASH ? 2 : 1;
  }
  return text.length;
}

/** @param depth depth of `value`; `path`: its path. */
export function refuseDangerous(value: JsonValue, depth: number, path: string): void {
  if (value === null || typeof value !== 'object') return;
  if (depth > MAX_JSON_DEPTH) {
    throw new JsonRefusedError(`expected at most ${MAX_JSON_DEPTH} levels, got more at ${pathText(path)}`);
  }
  if (Array.isArray(value)) {
    // By index: the keys of a long array would be as many strings.
    for (let at = 0; at < value.length; at += 1) {
      const item = value[at] as JsonValue;
      if (item !== null && typeof item === 'object')
        refuseDangerous(item, depth + 1, path ? `${path}.${at}` : String(at));
    }
    return;
  }
  for (const key of Object.keys(value)) {
    if (DANGEROUS_KEYS.has(key))
      throw new JsonRefusedError(`the key "${key}" at ${pathText(path)} is not allowed`);
    refuseDangerous(value[key] as JsonValue, depth + 1, path ? `${path}.${key}` : key);
  }
}

/** Truncated, since keys may be as long as the text. */
function pathText(path: string): string {
  return path === '' ? 'the top' : path.slice(0, 200).toWellFormed();
}

/** Any JSON value, unchecked. */
export const jsonValueSchema = z.custom<JsonValue>(
  (value) => value !== undefined,
  'expected a JSON value, got nothing',
);
/** Schema of a JSON object. */
export const jsonObjectSchema = z.custom<JsonObject>(
  (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  'expected a JSON object',
);
/** Any JSON value in an optional field; `null` is the same as absent. */
export const optionalJsonSchema = z
  .custom<JsonValue>((value) => value !== undefined && value !== null, 'expected a JSON value, got nothing')
  .optional();

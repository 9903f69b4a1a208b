import { z } from 'zod';

/** Any value that JSON can carry. */
export type JsonValue = string | number | boolean | null | JsonValue[] | { [key: string]: JsonValue };
/** What `JSON.stringify` takes: fields that are `undefined` are left out. */
export type JsonInput =
  | string
  | number
  | boolean
  | null
  | undefined
  | readonly JsonInput[]
  | { readonly [key: string]: JsonInput };
export type JsonObject = { [key: string]: JsonValue };

/** The one size limit of the wire: answers, frames, results and request bodies, in bytes. */
export const MAX_RESULT_BYTES = 1024 * 1024;
/** How deep a JSON text may be nested before it is refused. */
export const MAX_JSON_DEPTH = 32;

const DANGEROUS_KEYS = new Set(['__proto__', 'constructor', 'prototype']);

/** Why a text was not accepted as JSON. `reason` is safe to show to whoever sent it. */
export class JsonRefusedError extends Error {
  override readonly name = 'JsonRefusedError';
  constructor(readonly reason: string) {
    super(reason);
  }
}

/**
 * Parses JSON from outside: the depth is bounded, keys that reach into prototypes are refused.
 * The caller bounds the size before it has the whole text.
 *
 * @throws {JsonRefusedError} with what is wrong.
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

/** Node quotes the text that it could not read; the reader of the error may not be meant to see that. */
export function mistakeOf(error: unknown): string {
  return (error as Error).message.replace(/,? (?:\.\.\.)?".*"(?:\.\.\.)? is not valid JSON$/s, '');
}

/** A look at the text, which takes a fraction of a reconcile over the value: a dangerous key may also be written in escapes. */
export function mayHaveDangerousKeys(text: string): boolean {
  return /__proto__|constructor|prototype|\\u/.test(text);
}

/** Whether the brackets of a text of JSON are nested deeper than so many levels. */
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

/** Where the string ends that begins at `from`; the length of the text if it does not end. */
export function endOfString(text: string, from: number): number {
  let at = from + 1;
  while (at < text.length) {
    const character = text.charCodeAt(at);
    if (character === QUOTE) return at;
    at += character === BACKSLASH ? 2 : 1;
  }
  return text.length;
}

/** @param depth that of `value`, and `path` its place. */
export function refuseDangerous(value: JsonValue, depth: number, path: string): void {
  if (value === null || typeof value !== 'object') return;
  if (depth > MAX_JSON_DEPTH) {
    throw new JsonRefusedError(`expected at most ${MAX_JSON_DEPTH} levels, got more at ${placeOf(path)}`);
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
      throw new JsonRefusedError(`the key "${key}" at ${placeOf(path)} is not allowed`);
    refuseDangerous(value[key] as JsonValue, depth + 1, path ? `${path}.${key}` : key);
  }
}

/** Keys may be as long as the text: what is told of a path is not. */
function placeOf(path: string): string {
  return path === '' ? 'the top' : path.slice(0, 200).toWellFormed();
}

/** A value that JSON can carry; what it is exactly is for someone else to say. */
export const jsonValueSchema = z.custom<JsonValue>(
  (value) => value !== undefined,
  'expected a JSON value, got nothing',
);
export const jsonObjectSchema = z.custom<JsonObject>(
  (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  'expected a JSON object',
);
/** Any JSON value in a field that may be left out: `null` there is the same as leaving it out. */
export const optionalJsonSchema = z
  .custom<JsonValue>((value) => value !== undefined && value !== null, 'expected a JSON value, got nothing')
  .optional();

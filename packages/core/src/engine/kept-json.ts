import { copyJson, minJsonBytes } from '../protocol/bounded-json.js';
import type { JsonValue } from '../protocol/json.js';
import { addFromText, unreadText, writeJson } from '../protocol/known-text.js';

/** Values above this size are kept as text: as objects they take up to 24 times the heap. */
const MAX_OBJECT_BYTES = 1_024;

/** A large JSON value as text. */
export class KeptText {
  /** @param bytes length of the text in UTF-8. */
  constructor(
    readonly text: string,
    readonly bytes: number,
  ) {}
}

/** A stored JSON value: a private copy of a small one, text of a large one. */
export type KeptJson = JsonValue | KeptText;

/** Owner of stored values, charged with their bytes. */
export interface BytesOwner {
  charge(bytes: number): void;
}

/** Stores a copy of `value` and charges `owner` with its size as JSON (for small values a lower bound). */
export function keepJson(value: KeptJson, owner: BytesOwner): KeptJson {
  const compact = compactJson(value);
  const kept = compact instanceof KeptText ? compact : copyJson(compact);
  owner.charge(bytesOf(kept));
  return kept;
}

/** Stores a copy of a field: the text, where the field has not been parsed yet. */
export function keepField<T extends object>(holder: T, field: keyof T & string, owner: BytesOwner): KeptJson {
  const text = unreadText(holder, field);
  if (text === undefined) return keepJson(holder[field] as JsonValue, owner);
  const kept = new KeptText(text, Buffer.byteLength(text));
  owner.charge(kept.bytes);
  return kept;
}

/** Text of a large value, a small value itself. For values that are not shared. */
export function compactJson(value: KeptJson): KeptJson {
  if (value instanceof KeptText || minJsonBytes(value, MAX_OBJECT_BYTES) <= MAX_OBJECT_BYTES) return value;
  const text = writeJson(value);
  return new KeptText(text, Buffer.byteLength(text));
}

/** Like `compactJson`, from JSON text. */
export function keptOfText(text: string): KeptJson {
  const bytes = Buffer.byteLength(text);
  return bytes > MAX_OBJECT_BYTES ? new KeptText(text, bytes) : (JSON.parse(text) as JsonValue);
}

/** The stored value as JSON text. */
export function textOfKept(kept: KeptJson): string {
  return kept instanceof KeptText ? kept.text : JSON.stringify(kept);
}

/** Whether a stored value is the same JSON text as `value`. */
export function isSameJson(kept: KeptJson, value: JsonValue): boolean {
  return textOfKept(kept) === (kept instanceof KeptText ? writeJson(value) : JSON.stringify(value));
}

/** A copy of the stored value. */
export function readJson(kept: KeptJson): JsonValue {
  return kept instanceof KeptText ? (JSON.parse(kept.text) as JsonValue) : copyJson(kept);
}

/** Sets `field` of `holder` to a copy of the stored value. A large one is parsed on first access. */
export function viewJson<T extends object>(holder: T, field: keyof T & string, kept: KeptJson): void {
  if (kept instanceof KeptText) addFromText(holder, field, kept.text);
  else holder[field] = readJson(kept) as T[typeof field];
}

/** Bytes charged for a value returned by `keepJson` or `compactJson`. */
export function bytesOf(kept: KeptJson): number {
  return kept instanceof KeptText ? kept.bytes : minJsonBytes(kept, MAX_OBJECT_BYTES);
}

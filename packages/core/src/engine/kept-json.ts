import { copyJson, minJsonBytes } from '../protocol/bounded-json.js';
import type { JsonValue } from '../protocol/json.js';
import { addFromText, unreadText, writeJson } from '../protocol/known-text.js';

/** Values above this many bytes are kept as text: as objects they take up to 24 times as much of the heap. */
const MAX_OBJECT_BYTES = 1_024;

/** A large JSON value in the least room. */
export class KeptText {
  /** @param bytes of the text in UTF-8. */
  constructor(
    readonly text: string,
    readonly bytes: number,
  ) {}
}

/** A JSON value as it is kept: small ones as a copy that is never handed out, large ones as text. */
export type KeptJson = JsonValue | KeptText;

/** What values belong to: it is charged with their bytes, and they are given back when it goes. */
export interface BytesOwner {
  charge(bytes: number): void;
}

/** Keeps a copy of `value`, and charges `owner` with what it takes as JSON (small ones: at least that). */
export function keepJson(value: KeptJson, owner: BytesOwner): KeptJson {
  const compact = compactJson(value);
  const kept = compact instanceof KeptText ? compact : copyJson(compact);
  owner.charge(bytesOf(kept));
  return kept;
}

/** Keeps a copy of a field: of one that is there as text, the text. */
export function keepField<T extends object>(holder: T, field: keyof T & string, owner: BytesOwner): KeptJson {
  const text = unreadText(holder, field);
  if (text === undefined) return keepJson(holder[field] as JsonValue, owner);
  const kept = new KeptText(text, Buffer.byteLength(text));
  owner.charge(kept.bytes);
  return kept;
}

/** What is large as text, and what is small as it is: for a value that is not shared. */
export function compactJson(value: KeptJson): KeptJson {
  if (value instanceof KeptText || minJsonBytes(value, MAX_OBJECT_BYTES) <= MAX_OBJECT_BYTES) return value;
  const text = writeJson(value);
  return new KeptText(text, Buffer.byteLength(text));
}

/** The same of what is there as text. */
export function keptOfText(text: string): KeptJson {
  const bytes = Buffer.byteLength(text);
  return bytes > MAX_OBJECT_BYTES ? new KeptText(text, bytes) : (JSON.parse(text) as JsonValue);
}

/** What is kept, as JSON. */
export function textOfKept(kept: KeptJson): string {
  return kept instanceof KeptText ? kept.text : JSON.stringify(kept);
}

/** A copy of what is kept, for whoever asks. */
export function readJson(kept: KeptJson): JsonValue {
  return kept instanceof KeptText ? (JSON.parse(kept.text) as JsonValue) : copyJson(kept);
}

/** Gives `holder` a copy of what is kept as a field. A large one is parsed on first access. */
export function viewJson<T extends object>(holder: T, field: keyof T & string, kept: KeptJson): void {
  if (kept instanceof KeptText) addFromText(holder, field, kept.text);
  else holder[field] = readJson(kept) as T[typeof field];
}

/** What keeping it was charged with; only of what `keepJson` or `compactJson` has given. */
export function bytesOf(kept: KeptJson): number {
  return kept instanceof KeptText ? kept.bytes : minJsonBytes(kept, MAX_OBJECT_BYTES);
}

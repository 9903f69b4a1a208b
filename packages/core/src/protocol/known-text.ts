import type { JsonValue } from './json.js';

/** JSON texts of values in transit, from the parsed body to the storage. Such a value is immutable. */
const texts = new WeakMap<object, string>();
/** Fields kept as text and parsed on first access, by object and name. */
const unread = new WeakMap<object, Map<string, UnreadField>>();

/** A field is unread while it still has this getter; replacing or deleting the property invalidates it. */
interface UnreadField {
  readonly text: string;
  readonly get: () => unknown;
}

/** Hook of `util.inspect` and `console.log`. */
const INSPECT = Symbol.for('nodejs.util.inspect.custom');

/** Values above this many characters are parsed on first access only. */
export const MAX_READ_AT_ONCE = 16_384;

/** Depth at which `writeJson` looks for known texts: a response, its list, an item, a field. */
const LEVELS = 4;
/** Maximum items of a page; a longer list is data. */
const MAX_ITEMS = 1_000;

/** Records that `text` is the JSON of `value`, so that it is serialised once. */
export function rememberText(value: JsonValue, text: string): void {
  if (typeof value === 'object' && value !== null) texts.set(value, text);
}

/** Records the text of a new, immutable value composed of parts with known texts. */
export function rememberParts<T extends JsonValue>(value: T): T {
  const text = composedText(value);
  if (text !== undefined) rememberText(value, text);
  return value;
}

/** The JSON of `value`, if known. */
export function knownText(value: unknown): string | undefined {
  return typeof value === 'object' && value !== null ? texts.get(value) : undefined;
}

/** Defines a field of `holder` that is parsed from `text` on first access; `writeJson` uses the text as is. */
export function addUnread<T extends object>(holder: T, field: keyof T & string, text: string): void {
  let read: { readonly value: unknown } | undefined;
  const get = () => {
    read ??= { value: JSON.parse(text) };
    // A frozen object can't be redefined: `read` keeps the value.
    if (Object.getOwnPropertyDescriptor(holder, field)?.configurable) settle(holder, field, read.value);
    else unread.get(holder)?.delete(field);
    return read.value;
  };
  const fields = unread.get(holder) ?? new Map<string, UnreadField>();
  unread.set(holder, fields.set(field, { text, get }));
  Object.defineProperty(holder, field, {
    enumerable: true,
    configurable: true,
    get,
    /** An object that inherits from `holder` gets its own property, as with any data property. */
    set(this: object, value: unknown) {
      settle(this, field, value);
    },
  });
  Object.defineProperty(holder, INSPECT, { value: inspected, configurable: true, writable: true });
}

/** The object for `util.inspect`: a copy with parsed fields and without this hook. */
function inspected(this: object): object {
  const copy = Object.assign(Object.create(Object.getPrototypeOf(this) as object), this) as object;
  return Object.defineProperty(copy, INSPECT, { value: undefined });
}

/** Sets a field of `holder` from JSON `text`: parsed at once if short, else on first access. */
export function addFromText<T extends object>(holder: T, field: keyof T & string, text: string): void {
  if (text.length > MAX_READ_AT_ONCE) addUnread(holder, field, text);
  else holder[field] = JSON.parse(text) as T[typeof field];
}

/** Copies a field, optionally under another name, without parsing it. */
export function copyField<F extends string, T extends string = F>(
  from: { readonly [K in F]?: unknown },
  to: { [K in T]?: unknown },
  field: F,
  name: T = field as string as T,
): void {
  const text = unreadText(from, field);
  if (text === undefined) to[name] = from[field];
  else addUnread(to, name, text);
}

/** A field as JSON. */
export function fieldText<T extends object>(holder: T, field: keyof T & string): string {
  return unreadText(holder, field) ?? writeJson(holder[field]);
}

/** Text of a field that is still unread. */
export function unreadText(holder: object, field: string): string | undefined {
  const known = unread.get(holder)?.get(field);
  if (known === undefined) return undefined;
  return Object.getOwnPropertyDescriptor(holder, field)?.get === known.get ? known.text : undefined;
}

function settle(holder: object, field: string, value: unknown): void {
  Object.defineProperty(holder, field, { value, enumerable: true, configurable: true, writable: true });
  unread.get(holder)?.delete(field);
}

/** `JSON.stringify` that reuses known texts. */
export function writeJson(value: unknown): string {
  return composedText(value) ?? JSON.stringify(value);
}

/** JSON of a value if it, or some of its parts, have known texts; else `undefined`. */
export function composedText(value: unknown): string | undefined {
  return knownText(value) ?? composed(value, LEVELS);
}

function composed(value: unknown, levels: number): string | undefined {
  if (levels === 0 || typeof value !== 'object' || value === null || 'toJSON' in value) return undefined;
  if (Array.isArray(value) && value.length > MAX_ITEMS) return undefined;
  const known = partsOf(value, levels);
  if (known === undefined) return undefined;
  if (Array.isArray(value)) {
    // `Array.from` includes holes, which are null in JSON.
    return `[${Array.from(value, (item, at) => known.get(String(at)) ?? JSON.stringify(item) ?? 'null').join(',')}]`;
  }
  const written: string[] = [];
  for (const key of Object.keys(value)) {
    const text = known.get(key) ?? JSON.stringify((value as Record<string, unknown>)[key]);
    if (text !== undefined) written.push(`${JSON.stringify(key)}:${text}`);
  }
  return `{${written.join(',')}}`;
}

/** Known texts of the fields, by name. */
function partsOf(holder: object, levels: number): Map<string, string> | undefined {
  const hasUnread = unread.has(holder);
  let known: Map<string, string> | undefined;
  for (const key of Object.keys(holder)) {
    const text =
      (hasUnread ? unreadText(holder, key) : undefined) ??
      partText((holder as Record<string, unknown>)[key], levels);
    if (text !== undefined) (known ??= new Map<string, string>()).set(key, text);
  }
  return known;
}

function partText(part: unknown, levels: number): string | undefined {
  if (typeof part !== 'object' || part === null) return undefined;
  return texts.get(part) ?? composed(part, levels - 1);
}

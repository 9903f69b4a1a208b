import type { JsonValue } from './json.js';

/** Texts of values that are on their way: of a body that was read, until it is stored. Such a value is not changed. */
const texts = new WeakMap<object, string>();
/** Fields that are stored as text and parsed on first access, by object and name. */
const unread = new WeakMap<object, Map<string, UnreadField>>();

/** A field is unread for as long as it has this getter: whoever replaces or deletes it otherwise need not tell. */
interface UnreadField {
  readonly text: string;
  readonly get: () => unknown;
}

/** What `util.inspect`, and with it `console.log`, asks an object for. */
const INSPECT = Symbol.for('nodejs.util.inspect.custom');

/** Values above this many characters are parsed on first access only. */
export const MAX_READ_AT_ONCE = 16_384;

/** How deep `writeJson` looks for texts: an answer, its list, an item, a field. */
const LEVELS = 4;
/** Of a page; a longer list is data. */
const MAX_ITEMS = 1_000;

/** Says that `text` is `value` as JSON, so that it is serialised once. */
export function rememberText(value: JsonValue, text: string): void {
  if (typeof value === 'object' && value !== null) texts.set(value, text);
}

/** The same of a value that was just put together from parts of which some are known, and is not changed any more. */
export function rememberParts<T extends JsonValue>(value: T): T {
  const text = composedText(value);
  if (text !== undefined) rememberText(value, text);
  return value;
}

/** What `value` is as JSON, if that is known. */
export function knownText(value: unknown): string | undefined {
  return typeof value === 'object' && value !== null ? texts.get(value) : undefined;
}

/** Gives `holder` a field that is read from `text` when somebody looks at it; `writeJson` takes the text as it is. */
export function addUnread<T extends object>(holder: T, field: keyof T & string, text: string): void {
  let read: { readonly value: unknown } | undefined;
  const get = () => {
    read ??= { value: JSON.parse(text) };
    // A frozen object stays as it is: what was read is remembered here.
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
    /** An object that inherits from `holder` gets a field of its own, as with any other field. */
    set(this: object, value: unknown) {
      settle(this, field, value);
    },
  });
  Object.defineProperty(holder, INSPECT, { value: shown, configurable: true, writable: true });
}

/** What is shown of an object with such fields: a copy with their values, which asks for nothing again. */
function shown(this: object): object {
  const copy = Object.assign(Object.create(Object.getPrototypeOf(this) as object), this) as object;
  return Object.defineProperty(copy, INSPECT, { value: undefined });
}

/** Gives `holder` a field of what `text` is as JSON: read at once if it is short, else when somebody looks at it. */
export function addFromText<T extends object>(holder: T, field: keyof T & string, text: string): void {
  if (text.length > MAX_READ_AT_ONCE) addUnread(holder, field, text);
  else holder[field] = JSON.parse(text) as T[typeof field];
}

/** Gives `to` the field that `from` has, perhaps under another name. */
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

/** The text of a field that was not accessed yet. */
export function unreadText(holder: object, field: string): string | undefined {
  const known = unread.get(holder)?.get(field);
  if (known === undefined) return undefined;
  return Object.getOwnPropertyDescriptor(holder, field)?.get === known.get ? known.text : undefined;
}

function settle(holder: object, field: string, value: unknown): void {
  Object.defineProperty(holder, field, { value, enumerable: true, configurable: true, writable: true });
  unread.get(holder)?.delete(field);
}

/** `JSON.stringify`, with the texts that are known already. */
export function writeJson(value: unknown): string {
  return composedText(value) ?? JSON.stringify(value);
}

/** The text of a value that is known, or of which parts are; nothing for any other. */
export function composedText(value: unknown): string | undefined {
  return knownText(value) ?? composed(value, LEVELS);
}

function composed(value: unknown, levels: number): string | undefined {
  if (levels === 0 || typeof value !== 'object' || value === null || 'toJSON' in value) return undefined;
  if (Array.isArray(value) && value.length > MAX_ITEMS) return undefined;
  const known = partsOf(value, levels);
  if (known === undefined) return undefined;
  if (Array.isArray(value)) {
    // `Array.from` goes over holes too, which are null as JSON.
    return `[${Array.from(value, (item, at) => known.get(String(at)) ?? JSON.stringify(item) ?? 'null').join(',')}]`;
  }
  const written: string[] = [];
  for (const key of Object.keys(value)) {
    const text = known.get(key) ?? JSON.stringify((value as Record<string, unknown>)[key]);
    if (text !== undefined) written.push(`${JSON.stringify(key)}:${text}`);
  }
  return `{${written.join(',')}}`;
}

/** The parts of which the text is known, by name. */
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

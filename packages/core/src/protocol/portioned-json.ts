import {
  BRACE,
  BRACKET,
  COMMA,
  endOfString,
  type JsonObject,
  JsonRefusedError,
  type JsonValue,
  MAX_JSON_DEPTH,
  mayHaveDangerousKeys,
  mistakeOf,
  parseJson,
  QUOTE,
  refuseDangerous,
} from './json.js';
import { rememberText, unreadText } from './known-text.js';
import { inTurns, type TurnsOptions } from './loop-turns.js';

/** Characters parsed per turn: 10 ms for the slowest values. */
export const PORTION = 64 * 1024;

/** Texts are remembered for a body, its fields, and the fields of items in its lists. */
const REMEMBERED_LEVELS = 4;

interface ReadingOptions extends TurnsOptions {
  /** Characters of a portion. */
  readonly portion?: number;
  /** Only parts of the value are kept, such as a frame's data: do not remember the text of the whole. */
  readonly partsOnly?: boolean;
}

/**
 * Like `parseJson` for texts of any length: parses one portion per turn of the event loop. Remembers the texts of large parts,
 * so that storing them needs no traversal or serialisation. Treat the result as immutable: changes to it would not be stored.
 *
 * @throws {JsonRefusedError} with the reason; or the reason of `signal`.
 */
export async function parseJsonInPortions(
  text: string,
  { portion = PORTION, partsOnly = false, ...turns }: ReadingOptions = {},
): Promise<JsonValue> {
  return text.length <= portion
    ? parseJson(text)
    : inTurns(new PortionedText(text, 'outside', portion, partsOnly ? 2 : 1).read(), turns);
}

/**
 * Parses a field kept as a long text, see `addUnread`, one portion per turn; `undefined` for other fields. Rejects with the
 * reason of the signal; `turns` is called for long texts only.
 */
export function readField<T extends object>(
  holder: T,
  field: keyof T & string,
  turns?: () => TurnsOptions,
): Promise<void> | undefined {
  const text = unreadText(holder, field);
  if (text === undefined || text.length <= PORTION) return undefined;
  return inTurns(new PortionedText(text, 'storage', PORTION).read(), turns?.()).then((value) => {
    holder[field] = value as T[typeof field];
  });
}

interface Part {
  readonly value: JsonValue;
  /** Serialised form; empty for texts from the storage. */
  readonly text: string;
}

/**
 * Incremental parser for a long JSON text. First locates the large lists and objects, those longer than a portion; their
 * elements are then parsed separately, neighbours grouped up to a portion. Everything between brackets and commas is left to
 * `JSON.parse`, so both accept the same texts.
 */
class PortionedText {
  /** Start and end positions of the large lists and objects. */
  readonly #large = new Map<number, number>();
  readonly #isTrusted: boolean;
  readonly #mayHaveDangerousKeys: boolean;

  constructor(
    readonly text: string,
    from: 'outside' | 'storage',
    readonly portion: number,
    /** Outermost level whose texts are remembered; 1 is the whole. */
    readonly rememberedFrom = 1,
  ) {
    this.#isTrusted = from === 'storage';
    this.#mayHaveDangerousKeys = !this.#isTrusted && mayHaveDangerousKeys(text);
  }

  *read(): Generator<void, JsonValue, void> {
    const { text } = this;
    this.#findLarge();
    yield;
    const start = /[^ \t\n\r]/.exec(text)?.index ?? 0;
    const end = this.#large.get(start);
    if (end === undefined) return this.#isTrusted ? (JSON.parse(text) as JsonValue) : parseJson(text);
    this.#refuseUnlessBlank(end + 1, text.length);
    return (yield* this.#container(start, end, 1, '')).value;
  }

  #findLarge(): void {
    const { text } = this;
    const open: number[] = [];
    for (let at = 0; at < text.length; at += 1) {
      const character = text.charCodeAt(at);
      if (character === QUOTE) at = endOfString(text, at);
      else if (isOpening(character)) {
        open.push(at);
        if (open.length > MAX_JSON_DEPTH && !this.#isTrusted)
          throw new JsonRefusedError(
            `expected at most ${MAX_JSON_DEPTH} levels, got more at character ${at}`,
          );
      } else if (isClosing(character)) {
        const start = open.pop();
        if (start === undefined) throw unexpected(at);
        if (at - start <= this.portion) continue;
        if (character !== text.charCodeAt(start) + 2) throw unexpected(at);
        this.#large.set(start, at);
      }
    }
    if (open.length > 0) throw new JsonRefusedError('expected JSON, got a text that ends inside of a value');
  }

  *#container(start: number, end: number, level: number, path: string): Generator<void, Part, void> {
    const { text } = this;
    const target = text.charCodeAt(start) === BRACKET ? new ListTarget() : new ObjectTarget();
    const context = { target, level, path };
    /** Start of the unparsed part, and the last comma in it. */
    let from = start + 1;
    let comma = start;
    let at = from;
    while (at < end) {
      const character = text.charCodeAt(at);
      const inner = this.#large.get(at);
      if (inner !== undefined) {
        if (comma >= from) this.#portion(from, comma, context);
        const key = this.#keyOf(comma + 1, at, context);
        const part = yield* this.#container(at, inner, level + 1, pathOf(path, key ?? target.size));
        target.add(part, key);
        comma = this.#next(inner + 1, end);
        from = comma + 1;
        at = from;
        continue;
      }
      if (character === QUOTE) at = endOfString(text, at);
      else if (isOpening(character)) at = this.#endOfSmall(at);
      else if (character === COMMA) {
        comma = at;
        if (at - from >= this.portion) {
          this.#portion(from, at, context);
          yield;
          from = at + 1;
        }
      }
      at += 1;
    }
    if (from <= end) this.#portion(from, end, context);
    yield;
    if (!this.#isTrusted) yield* target.putInOrder(this.portion);
    const part = target.part;
    if (!this.#isTrusted && level >= this.rememberedFrom && level <= REMEMBERED_LEVELS)
      rememberText(part.value, part.text);
    return part;
  }

  /** Parses the text between two commas or brackets; only a whole container may be empty. */
  #portion(from: number, to: number, { target, level, path }: Context): void {
    const slice = this.text.slice(from, to);
    let piece = parsed(target.open + slice + target.close, from);
    if (this.#mayHaveDangerousKeys) target.check(piece, level, path);
    let text = '';
    if (!this.#isTrusted) {
      text = JSON.stringify(piece);
      // Numbers such as -0 and 1e400 change in a round trip: use the value as it will be read from the storage.
      if (/-0|\d[eE]|\d{309}/.test(slice)) piece = JSON.parse(text) as JsonValue;
    }
    const isAlone = this.text.charCodeAt(from - 1) !== COMMA && this.text.charCodeAt(to) !== COMMA;
    if (target.addAll(piece, text.slice(1, -1)) === 0 && !isAlone) throw unexpected(to);
  }

  /** Key of a large part: the text between the preceding comma and its bracket. `undefined` in a list. */
  #keyOf(from: number, to: number, { target, level, path }: Context): string | undefined {
    const member = parsed(`${target.open}${this.text.slice(from, to)}null${target.close}`, from);
    if (Array.isArray(member)) return undefined;
    if (this.#mayHaveDangerousKeys) refuseDangerous(member, level, path);
    return Object.keys(member as JsonObject)[0];
  }

  /** Position of the comma after a large part, or `end`. */
  #next(from: number, end: number): number {
    let at = from;
    while (at < end && isBlank(this.text.charCodeAt(at))) at += 1;
    if (at < end && this.text.charCodeAt(at) !== COMMA) throw unexpected(at);
    return at;
  }

  #endOfSmall(from: number): number {
    const { text } = this;
    let depth = 0;
    for (let at = from; ; at += 1) {
      const character = text.charCodeAt(at);
      if (character === QUOTE) at = endOfString(text, at);
      else if (isOpening(character)) depth += 1;
      else if (isClosing(character)) {
        depth -= 1;
        if (depth === 0) return at;
      }
    }
  }

  #refuseUnlessBlank(from: number, to: number): void {
    for (let at = from; at < to; at += 1) if (!isBlank(this.text.charCodeAt(at))) throw unexpected(at);
  }
}

interface Context {
  readonly target: ListTarget | ObjectTarget;
  readonly level: number;
  readonly path: string;
}

/** List under construction. Its text is concatenated by `+`: V8 copies nothing. */
class ListTarget {
  readonly open = '[';
  readonly close = ']';
  readonly #items: JsonValue[] = [];
  #text = '';

  get size(): number {
    return this.#items.length;
  }

  get part(): Part {
    return { value: this.#items, text: `[${this.#text}]` };
  }

  /** Items are always in order. */
  *putInOrder(): Generator<void, void, void> {}

  add({ value, text }: Part): void {
    this.#text = joined(this.#text, text);
    this.#items.push(value);
  }

  addAll(piece: JsonValue, text: string): number {
    const items = piece as JsonValue[];
    for (const item of items) this.#items.push(item);
    this.#text = joined(this.#text, text);
    return items.length;
  }

  check(piece: JsonValue, level: number, path: string): void {
    let at = this.size;
    for (const item of piece as JsonValue[]) {
      refuseDangerous(item, level + 1, pathOf(path, at));
      at += 1;
    }
  }
}

/** Object under construction; dangerous keys were rejected before. */
class ObjectTarget {
  readonly open = '{';
  readonly close = '}';
  readonly #fields: JsonObject = {};
  /** Texts of large fields. */
  readonly #large = new Map<string, string>();
  #text = '';
  /** Whether the fields are in serialisation order: no duplicates, and no integer keys, which `JSON.stringify` moves first. */
  #isInOrder = true;
  size = 0;

  get part(): Part {
    return { value: this.#fields, text: `{${this.#text}}` };
  }

  /** Rewrites the text in serialisation order, so that it depends neither on whitespace nor on portion boundaries. */
  *putInOrder(portion: number): Generator<void, void, void> {
    if (this.#isInOrder) return;
    let [text, written] = ['', 0];
    for (const [name, value] of Object.entries(this.#fields)) {
      const field = `${JSON.stringify(name)}:${this.#large.get(name) ?? JSON.stringify(value)}`;
      text = joined(text, field);
      written += field.length;
      if (written < portion) continue;
      yield;
      written = 0;
    }
    this.#text = text;
  }

  add({ value, text }: Part, key: string | undefined): void {
    const name = key as string;
    this.#text = joined(this.#text, `${JSON.stringify(name)}:${text}`);
    this.#set(name, value);
    this.#large.set(name, text);
  }

  addAll(piece: JsonValue, text: string): number {
    const keys = Object.keys(piece as JsonObject);
    for (const key of keys) this.#set(key, (piece as JsonObject)[key] as JsonValue);
    this.#text = joined(this.#text, text);
    return keys.length;
  }

  check(piece: JsonValue, level: number, path: string): void {
    refuseDangerous(piece, level, path);
  }

  #set(key: string, value: JsonValue): void {
    this.size += 1;
    if (/^\d/.test(key) || Object.hasOwn(this.#fields, key)) this.#isInOrder = false;
    this.#large.delete(key);
    if (key !== '__proto__') this.#fields[key] = value;
    else
      Object.defineProperty(this.#fields, key, {
        value,
        enumerable: true,
        configurable: true,
        writable: true,
      });
  }
}

function joined(before: string, text: string): string {
  return before === '' ? text : `${before},${text}`;
}

function pathOf(path: string, part: string | number): string {
  return path === '' ? String(part) : `${path}.${part}`;
}

function parsed(text: string, from: number): JsonValue {
  try {
    return JSON.parse(text) as JsonValue;
  } catch (error) {
    const mistake = mistakeOf(error).replace(/ (?:in JSON )?at position \d+.*$/s, '');
    throw new JsonRefusedError(`expected JSON, got ${mistake} after character ${from}`);
  }
}

function unexpected(at: number): JsonRefusedError {
  return new JsonRefusedError(`expected JSON, got something unexpected at character ${at}`);
}

function isOpening(character: number): boolean {
  return character === BRACKET || character === BRACE;
}

function isClosing(character: number): boolean {
  return character === BRACKET + 2 || character === BRACE + 2;
}

function isBlank(character: number): boolean {
  return character === 0x20 || character === 0x0a || character === 0x0d || character === 0x09;
}

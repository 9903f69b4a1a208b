import {
  CLASSES,
  type Encoded,
  type GraphClass,
  type GraphClasses,
  LIST,
  MAP,
  type NodeRow,
  NUMBER,
  OBJECT,
  PURE,
  REFERENCE,
  SET,
  UNDEFINED,
} from './graph.js';

type Fields = Readonly<Record<string, unknown>>;

interface KnownClass extends GraphClass {
  readonly name: string;
  readonly kind: number;
  /** A blank object: fields equal to its fields are left out. */
  readonly reference: Fields | undefined;
}

/** Values that are looked at between two pauses. */
const VISITS_A_TURN = 10_000;
/** Items of a list, a set or a map in one row: with more, further rows go on. */
const ITEMS_A_ROW = 2_000;

/**
 * Writes everything that can be reached from `root` as rows of JSON, which `GraphReader` makes the same objects of. The graph
 * must not change meanwhile. Yields an empty text now and then before the first row: the event loop may have a turn.
 *
 * @throws for an object of an unknown class.
 */
export function* writeGraph(root: object, classes: GraphClasses): Generator<string> {
  const writer = new GraphWriter(classes);
  yield* writer.survey(root);
  yield* writer.rows(root);
}

class GraphWriter {
  readonly #classes: ReadonlyMap<object, KnownClass>;
  /** Objects that are referred to more than once. */
  readonly #shared = new Set<object>();
  readonly #numbers = new Map<object, number>();
  /** Nodes without a row yet. */
  readonly #nodes: object[] = [];
  /** Rows to write before the current one. */
  #rowsBefore: string[] = [];

  constructor(classes: GraphClasses) {
    this.#classes = new Map(
      Object.entries(classes).map(([name, one], at) => {
        const reference = one.blank?.() as Fields | undefined;
        return [one.type.prototype as object, { ...one, name, kind: CLASSES + at, reference }];
      }),
    );
  }

  /** Finds the shared objects. */
  *survey(root: object): Generator<''> {
    const seen = new ManyObjects();
    seen.add(root);
    this.#shared.add(root);
    const open: object[] = [root];
    let visits = 0;
    const visit = (part: unknown, isLeaf: boolean) => {
      visits += 1;
      if (typeof part !== 'object' || part === null) return;
      if (!seen.add(part)) {
        this.#shared.add(part);
      } else if (!isLeaf) {
        // A node of its own, whose rows are many.
        if (isLong(part)) this.#shared.add(part);
        open.push(part);
      }
    };
    for (let next = open.pop(); next; next = open.pop()) {
      const known = this.#classes.get(Object.getPrototypeOf(next) as object);
      const parts = known ? fieldsOf(next as Fields, known) : partsOf(next);
      for (const [part, isLeaf] of parts) {
        visit(part, isLeaf);
        if (visits < VISITS_A_TURN) continue;
        visits = 0;
        yield '';
      }
    }
  }

  *rows(root: object): Generator<string> {
    this.#refer(root);
    // The list grows while it is read.
    for (const node of this.#nodes) {
      for (const part of this.#partsOfNode(node)) {
        const row = this.#row(node, part);
        yield* this.#rowsBefore;
        this.#rowsBefore = [];
        yield row;
      }
    }
  }

  *#partsOfNode(node: object): Generator<readonly [number, unknown]> {
    if (!isLong(node)) {
      yield this.#describe(node);
      return;
    }
    let part: unknown[] = [];
    const kind = this.#kindOf(node);
    for (const item of node as Iterable<unknown>) {
      part.push(item);
      if (part.length < ITEMS_A_ROW) continue;
      yield [kind, this.#items(kind, part)];
      part = [];
    }
    if (part.length > 0) yield [kind, this.#items(kind, part)];
  }

  /** @param items entries, for a map. */
  #items(kind: number, items: Iterable<unknown>): Encoded[] {
    if (kind === MAP) return this.#entries(items as Iterable<readonly [unknown, unknown]>);
    return Array.from(items, (item) => this.#encode(item));
  }

  #row(node: object, [kind, body]: readonly [number, unknown]): string {
    const row: NodeRow = [this.#numbers.get(node) as number, kind, body];
    return JSON.stringify(row);
  }

  #encode(value: unknown): Encoded {
    if (typeof value === 'string' || typeof value === 'boolean' || value === null) return value;
    if (typeof value === 'number') return Number.isFinite(value) ? value : [NUMBER, String(value)];
    if (value === undefined) return [UNDEFINED, 0];
    if (typeof value !== 'object') throw new Error(`expected state, got a ${typeof value}`);
    return this.#shared.has(value) ? this.#refer(value) : this.#describe(value);
  }

  #refer(node: object): Encoded {
    let number = this.#numbers.get(node);
    if (number !== undefined) return [REFERENCE, number, this.#kindOf(node)];
    number = this.#numbers.size;
    this.#numbers.set(node, number);
    if (this.#kindOf(node) === PURE) this.#rowsBefore.push(this.#row(node, [PURE, node]));
    else this.#nodes.push(node);
    return [REFERENCE, number, this.#kindOf(node)];
  }

  #describe(value: object): readonly [number, unknown] {
    const kind = this.#kindOf(value);
    if (kind === PURE) return [PURE, value];
    if (kind === LIST || kind === SET || kind === MAP)
      return [kind, this.#items(kind, value as Iterable<unknown>)];
    const known = this.#classes.get(Object.getPrototypeOf(value) as object);
    return [kind, known ? this.#changedFields(value as Fields, known) : this.#fields(value as Fields)];
  }

  #entries(map: Iterable<readonly [unknown, unknown]>): Encoded[] {
    const entries: Encoded[] = [];
    for (const [key, value] of map) entries.push(this.#encode(key), this.#encode(value));
    return entries;
  }

  #fields(object: Fields): Record<string, Encoded> {
    const fields = Object.entries(object).filter(([, value]) => value !== undefined);
    // Not by assignment: a field may be called `__proto__`.
    return Object.fromEntries(fields.map(([name, value]) => [name, this.#encode(value)]));
  }

  #changedFields(object: Fields, { reference, caches }: KnownClass): Record<string, Encoded> {
    const fields: Record<string, Encoded> = {};
    for (const name of Object.keys(object)) {
      const value = object[name];
      if (typeof value === 'function' || caches?.includes(name)) continue;
      if (!reference || value !== reference[name]) fields[name] = this.#encode(value);
    }
    return fields;
  }

  #kindOf(value: object): number {
    const prototype = Object.getPrototypeOf(value) as object | null;
    if (prototype === Map.prototype) return MAP;
    if (prototype === Set.prototype) return SET;
    if (prototype === Array.prototype) return !isLong(value) && this.#isPure(value) ? PURE : LIST;
    if (prototype === Object.prototype) return this.#isPure(value) ? PURE : OBJECT;
    const known = prototype && this.#classes.get(prototype);
    if (known) {
      if (!known.blank && this.#shared.has(value))
        throw new Error(`expected one reference to a ${known.name}, got several`);
      return known.kind;
    }
    const name = prototype?.constructor.name ?? 'no class';
    throw new Error(`expected an object of a class that snapshots know, got one of ${name}`);
  }

  /** Whether a plain object or list is JSON, with no shared part. */
  #isPure(value: object): boolean {
    if (Array.isArray(value))
      return !value.includes(undefined) && value.every((part) => this.#isPurePart(part));
    for (const name of Object.keys(value)) {
      const part = (value as Fields)[name];
      if (part !== undefined && !this.#isPurePart(part)) return false;
    }
    return true;
  }

  #isPurePart(part: unknown): boolean {
    if (typeof part === 'number') return Number.isFinite(part);
    if (typeof part !== 'object') return typeof part === 'string' || typeof part === 'boolean';
    if (part === null) return true;
    if (this.#shared.has(part)) return false;
    const prototype: unknown = Object.getPrototypeOf(part);
    return (prototype === Array.prototype || prototype === Object.prototype) && this.#isPure(part);
  }
}

type Part = readonly [part: unknown, isLeaf: boolean];

function* fieldsOf(object: Fields, { caches, json }: KnownClass): Generator<Part> {
  for (const name of Object.keys(object))
    if (!caches?.includes(name)) yield [object[name], json?.includes(name) === true];
}

/** Parts of an object of no class of its own. */
function* partsOf(value: object): Generator<Part> {
  if (value instanceof Map) {
    for (const [key, item] of value) {
      yield [key, false];
      yield [item, false];
    }
  } else {
    const items =
      value instanceof Set || Array.isArray(value) ? (value as Iterable<unknown>) : Object.values(value);
    for (const item of items) yield [item, false];
  }
}

function isLong(value: object): boolean {
  if (Array.isArray(value)) return value.length > ITEMS_A_ROW;
  return (value instanceof Map || value instanceof Set) && value.size > ITEMS_A_ROW;
}

/** Power of two. */
const SETS = 256;

/**
 * More objects than a `Set` can have, which are 2^24. A set that grows moves all it has at once: each of many small ones takes
 * the event loop for a moment only.
 */
class ManyObjects {
  readonly #sets = Array.from({ length: SETS }, () => new Set<object>());

  /** Whether the object is new. */
  add(object: object): boolean {
    const set = this.#sets[hashOf(object) & (SETS - 1)] as Set<object>;
    const { size } = set;
    return set.add(object).size > size;
  }
}

/** The same for an object as long as it does not change: of texts and numbers it has, or of its first items. */
function hashOf(object: object): number {
  if (object instanceof Map || object instanceof Set) {
    const [first] = object.keys();
    return typeof first === 'object' && first !== null
      ? 31 * object.size + hashOfFields(first)
      : hashWith(object.size, first);
  }
  return hashOfFields(object);
}

const HASHED_FIELDS = 6;

function hashOfFields(object: object): number {
  let hash = 0;
  if (Array.isArray(object)) {
    for (const item of object.slice(0, HASHED_FIELDS)) hash = hashWith(hash, item);
    return hashWith(hash, object.length);
  }
  let fields = 0;
  for (const name in object) {
    hash = hashWith(hash, (object as Fields)[name]);
    fields += 1;
    if (fields === HASHED_FIELDS) break;
  }
  return hash;
}

function hashWith(hash: number, value: unknown): number {
  if (typeof value === 'number') return Math.imul(hash, 31) + value;
  if (typeof value !== 'string') return hash;
  // The ends of ids differ most.
  let sum = value.length;
  for (let at = Math.max(0, value.length - 6); at < value.length; at += 1)
    sum = Math.imul(sum, 31) + value.charCodeAt(at);
  return Math.imul(hash, 31) + sum;
}

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

const MAX_OBJECTS_OF_A_SET = 2 ** 23;
/** Objects between two pauses. */
const PAUSE_EACH = 5_000;

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
    let visited = 0;
    const visit = (part: unknown, isLeaf: boolean) => {
      if (typeof part !== 'object' || part === null) return;
      if (!seen.add(part)) this.#shared.add(part);
      else if (!isLeaf) open.push(part);
    };
    for (let next = open.pop(); next; next = open.pop()) {
      visited += 1;
      if (visited % PAUSE_EACH === 0) yield '';
      const known = this.#classes.get(Object.getPrototypeOf(next) as object);
      if (known) this.#visitFields(next as Fields, known, visit);
      else for (const part of partsOf(next)) visit(part, false);
    }
  }

  #visitFields(
    object: Fields,
    { caches, json }: KnownClass,
    visit: (part: unknown, isLeaf: boolean) => void,
  ): void {
    for (const name of Object.keys(object))
      if (!caches?.includes(name)) visit(object[name], json?.includes(name) === true);
  }

  *rows(root: object): Generator<string> {
    this.#refer(root);
    // The list grows while it is read.
    for (const node of this.#nodes) {
      const row = this.#row(node, this.#describe(node));
      yield* this.#rowsBefore;
      this.#rowsBefore = [];
      yield row;
    }
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
    if (kind === LIST) return [kind, Array.from(value as readonly unknown[], (item) => this.#encode(item))];
    if (kind === SET) return [kind, Array.from(value as ReadonlySet<unknown>, (item) => this.#encode(item))];
    if (kind === MAP) return [kind, this.#entries(value as ReadonlyMap<unknown, unknown>)];
    const known = this.#classes.get(Object.getPrototypeOf(value) as object);
    return [kind, known ? this.#changedFields(value as Fields, known) : this.#fields(value as Fields)];
  }

  #entries(map: ReadonlyMap<unknown, unknown>): Encoded[] {
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
    if (prototype === Array.prototype) return this.#isPure(value) ? PURE : LIST;
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

/** Parts of an object of no class of its own. */
function* partsOf(value: object): Generator {
  if (value instanceof Map) {
    for (const entry of value) yield* entry;
  } else if (value instanceof Set || Array.isArray(value)) {
    yield* value as Iterable<unknown>;
  } else {
    yield* Object.values(value);
  }
}

/** More objects than a `Set` can have, which are 2^24. */
class ManyObjects {
  readonly #sets: Set<object>[] = [new Set()];

  /** Whether the object is new. */
  add(object: object): boolean {
    for (const set of this.#sets) if (set.has(object)) return false;
    let last = this.#sets.at(-1) as Set<object>;
    if (last.size >= MAX_OBJECTS_OF_A_SET) {
      last = new Set();
      this.#sets.push(last);
    }
    last.add(object);
    return true;
  }
}

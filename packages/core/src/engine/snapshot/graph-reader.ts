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
  ROOT,
  SET,
  UNDEFINED,
} from './graph.js';

type Fields = Record<string, unknown>;

/** Makes the objects that `writeGraph` has written. */
export class GraphReader {
  readonly #classes: readonly GraphClass[];
  readonly #nodes: unknown[] = [];
  /** Nodes that others refer to, and that have no row yet. */
  readonly #awaited = new Set<number>();

  /** @param names of the classes, in the order of those they were written with. @throws for an unknown one. */
  constructor(classes: GraphClasses, names: readonly string[]) {
    this.#classes = names.map((name) => {
      const known = Object.hasOwn(classes, name) ? classes[name] : undefined;
      if (!known) throw new Error(`expected a class that snapshots know, got ${JSON.stringify(name)}`);
      return known;
    });
  }

  add([node, kind, body]: NodeRow): void {
    if (kind === PURE) this.#nodes[node] = body;
    else this.#fill(this.#node(node, kind), kind, body);
    this.#awaited.delete(node);
  }

  /** The root, once all rows are added. @throws if one is missing. */
  end(): object {
    const root = this.#nodes[ROOT];
    if (this.#awaited.size > 0 || typeof root !== 'object' || root === null)
      throw new Error(`expected all nodes, got all but ${Math.max(this.#awaited.size, 1)}`);
    return root;
  }

  #node(node: number, kind: number): object {
    const known = this.#nodes[node] as object | undefined;
    if (known) return known;
    const blank = this.#blank(kind);
    this.#nodes[node] = blank;
    this.#awaited.add(node);
    return blank;
  }

  #blank(kind: number): object {
    if (kind === OBJECT) return {};
    if (kind === LIST) return [];
    if (kind === MAP) return new Map();
    if (kind === SET) return new Set();
    const made = this.#classes[kind - CLASSES]?.blank?.();
    if (!made) throw new Error(`expected a kind of object that can be made, got ${kind}`);
    return made;
  }

  /** @param present the object at this place, which is filled if it is of the same class. */
  #decode(encoded: Encoded, present?: unknown): unknown {
    if (typeof encoded !== 'object' || encoded === null) return encoded;
    const [kind, body] = encoded;
    switch (kind) {
      case PURE:
        return body;
      case REFERENCE:
        return this.#nodes[body as number] ?? this.#node(body as number, encoded[2] as number);
      case UNDEFINED:
        return undefined;
      case NUMBER:
        return Number(body);
      case OBJECT:
        return this.#fillFields(body as Fields, body as Fields);
      case LIST:
        return this.#decodeList(body as Encoded[]);
      default: {
        const known = this.#classes[kind - CLASSES];
        const isInPlace = known && !known.blank && present instanceof known.type;
        return this.#fill(isInPlace ? present : this.#blank(kind), kind, body);
      }
    }
  }

  #fill(target: object, kind: number, body: unknown): object {
    if (kind === LIST)
      for (const item of this.#decodeList(body as Encoded[])) (target as unknown[]).push(item);
    else if (kind === MAP) this.#fillMap(target as Map<unknown, unknown>, body as readonly Encoded[]);
    else if (kind === SET)
      for (const item of body as readonly Encoded[]) (target as Set<unknown>).add(this.#decode(item));
    else this.#fillFields(target as Fields, body as Fields);
    return target;
  }

  #decodeList(body: Encoded[]): unknown[] {
    const items: unknown[] = body;
    for (let at = 0; at < body.length; at += 1) items[at] = this.#decode(body[at] as Encoded);
    return items;
  }

  #fillMap(map: Map<unknown, unknown>, body: readonly Encoded[]): void {
    for (let at = 0; at < body.length; at += 2)
      map.set(this.#decode(body[at] as Encoded), this.#decode(body[at + 1] as Encoded));
  }

  /** A class's object has all its fields from its start: they keep their order, and its shape. */
  #fillFields(target: Fields, body: Fields): Fields {
    for (const name in body) {
      const value = this.#decode(body[name] as Encoded, target[name]);
      if (name === '__proto__')
        Object.defineProperty(target, name, { value, enumerable: true, configurable: true, writable: true });
      else target[name] = value;
    }
    return target;
  }
}

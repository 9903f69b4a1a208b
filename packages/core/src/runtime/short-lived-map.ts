class Box<V> {
  constructor(public value: V | undefined) {}
}

/**
 * A map through which many values pass quickly. A `Map` of V8 makes itself a new table each time its own is full, counting
 * what was deleted; each table is referred to by the one before, so once an old one has outlived two collections of young
 * objects, every later one and all its values stay until the next collection of everything. Here the tables hold boxes,
 * which are emptied when their value is deleted.
 */
export class ShortLivedMap<K, V> {
  readonly #boxes = new Map<K, Box<V>>();

  get size(): number {
    return this.#boxes.size;
  }

  get(key: K): V | undefined {
    return this.#boxes.get(key)?.value;
  }

  /** A key that is there already keeps its place. */
  set(key: K, value: V): void {
    const box = this.#boxes.get(key);
    if (box) box.value = value;
    else this.#boxes.set(key, new Box(value));
  }

  delete(key: K): void {
    const box = this.#boxes.get(key);
    if (!box) return;
    box.value = undefined;
    this.#boxes.delete(key);
  }

  /** In the order in which their keys came; what is deleted meanwhile is left out. */
  *entries(): Generator<readonly [K, V]> {
    for (const [key, { value }] of this.#boxes) if (value !== undefined) yield [key, value];
  }

  values(): V[] {
    return [...this.entries()].map(([, value]) => value);
  }
}

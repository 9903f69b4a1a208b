class Box<V> {
  constructor(public value: V | undefined) {}
}

/**
 * A map for many short-lived values. V8's `Map` allocates a new table each time the current one is full, deleted entries
 * included, and each table refers to its successor: once a table has survived two minor collections, every later table and all
 * its values stay until the next major one. Here tables hold boxes, which are emptied on deletion.
 */
export class ShortLivedMap<K, V> {
  readonly #boxes = new Map<K, Box<V>>();

  get size(): number {
    return this.#boxes.size;
  }

  get(key: K): V | undefined {
    return this.#boxes.get(key)?.value;
  }

  /** An existing key keeps its position. */
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

  /** In insertion order; entries deleted during the iteration are skipped. */
  *entries(): Generator<readonly [K, V]> {
    for (const [key, { value }] of this.#boxes) if (value !== undefined) yield [key, value];
  }

  values(): V[] {
    return [...this.entries()].map(([, value]) => value);
  }
}

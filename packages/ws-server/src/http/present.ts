/** An object's fields without those that are `undefined`: what an optional field of an interface wants. */
export type Present<T extends object> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** Leaves out every field that is `undefined`. */
export function present<T extends object>(fields: T): Present<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Present<T>;
}

/** An object's fields without `undefined` values, for optional fields of interfaces. */
export type Present<T extends object> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** Removes fields with the value `undefined`. */
export function present<T extends object>(fields: T): Present<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Present<T>;
}

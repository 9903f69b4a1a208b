import type { z } from 'zod';

/** How many mistakes of one value are named. */
export const MAX_ISSUES = 20;

/** What `null` in a field that may be left out means: that it is left out, or a mistake like any other. */
export type Nulls = 'left_out' | 'refused';

/** That of the value which is being checked: checking is synchronous, and lists are checked inside of it. */
let nullsNow: Nulls = 'left_out';

/** Reads `value`, and the lists in it, by this rule for `null`. */
export function parseByRule<T extends z.ZodType>(
  nulls: Nulls,
  schema: T,
  value: unknown,
): z.ZodSafeParseResult<z.output<T>> {
  const before = nullsNow;
  nullsNow = nulls;
  try {
    return parseByCurrentRule(schema, value);
  } finally {
    nullsNow = before;
  }
}

/** The same inside of a value that is being checked. */
export function parseByCurrentRule<T extends z.ZodType>(
  schema: T,
  value: unknown,
): z.ZodSafeParseResult<z.output<T>> {
  return nullsNow === 'left_out' ? parseLeniently(schema, value) : schema.safeParse(value);
}

/** Reads `value`; if that fails, once more without each `null` that is not what was expected at its place. */
function parseLeniently<T extends z.ZodType>(schema: T, value: unknown): z.ZodSafeParseResult<z.output<T>> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed;
  const nulls = new Places();
  for (const { path } of parsed.error.issues) if (valueAt(value, path) === null) nulls.add(path);
  return nulls.isEmpty ? parsed : schema.safeParse(without(value, nulls));
}

export function valueAt(root: unknown, path: readonly PropertyKey[]): unknown {
  let value = root;
  for (const key of path) {
    if (value === null || typeof value !== 'object') return undefined;
    value = (value as Record<PropertyKey, unknown>)[key];
  }
  return value;
}

/** Paths into a value as a tree, so that one copy of the value serves them all. */
class Places {
  readonly inside = new Map<PropertyKey, Places>();

  get isEmpty(): boolean {
    return this.inside.size === 0;
  }

  add([key, ...rest]: readonly PropertyKey[]): void {
    if (key === undefined) return;
    const there = this.inside.get(key) ?? new Places();
    this.inside.set(key, there);
    there.add(rest);
  }
}

/** A copy without the fields at `places`. An item of an array keeps its place. */
function without(value: unknown, places: Places): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const copy = (Array.isArray(value) ? [...value] : { ...value }) as Record<PropertyKey, unknown>;
  for (const [key, inner] of places.inside) {
    if (!inner.isEmpty) copy[key] = without(copy[key], inner);
    else if (!Array.isArray(value)) delete copy[key];
  }
  return copy;
}

import type { z } from 'zod';

/** Maximum of issues reported per value. */
export const MAX_ISSUES = 20;

/** Handling of `null` in an optional field: treated as absent, or rejected. */
export type Nulls = 'left_out' | 'refused';

/** The rule of the current parse; parsing is synchronous, and nested lists are parsed within it. */
let currentNulls: Nulls = 'left_out';

/** Parses `value`, including nested lists, with the given rule for `null`. */
export function parseByRule<T extends z.ZodType>(
  nulls: Nulls,
  schema: T,
  value: unknown,
): z.ZodSafeParseResult<z.output<T>> {
  const before = currentNulls;
  currentNulls = nulls;
  try {
    return parseByCurrentRule(schema, value);
  } finally {
    currentNulls = before;
  }
}

/** Parses a nested value with the rule of the current parse. */
export function parseByCurrentRule<T extends z.ZodType>(
  schema: T,
  value: unknown,
): z.ZodSafeParseResult<z.output<T>> {
  return currentNulls === 'left_out' ? parseLeniently(schema, value) : schema.safeParse(value);
}

/** Parses `value`; if that fails, retries without the `null`s that caused issues. */
function parseLeniently<T extends z.ZodType>(schema: T, value: unknown): z.ZodSafeParseResult<z.output<T>> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed;
  const nulls = new PathTree();
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

/** Paths into a value as a tree, so that all are removed in one copy. */
class PathTree {
  readonly children = new Map<PropertyKey, PathTree>();

  get isEmpty(): boolean {
    return this.children.size === 0;
  }

  add([key, ...rest]: readonly PropertyKey[]): void {
    if (key === undefined) return;
    const child = this.children.get(key) ?? new PathTree();
    this.children.set(key, child);
    child.add(rest);
  }
}

/** A copy without the fields at `paths`. Array items keep their index. */
function without(value: unknown, paths: PathTree): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const copy = (Array.isArray(value) ? [...value] : { ...value }) as Record<PropertyKey, unknown>;
  for (const [key, inner] of paths.children) {
    if (!inner.isEmpty) copy[key] = without(copy[key], inner);
    else if (!Array.isArray(value)) delete copy[key];
  }
  return copy;
}

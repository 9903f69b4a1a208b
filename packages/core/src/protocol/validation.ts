import type { z } from 'zod';
import { type ErrorCode, type Issue, OrchestratorError } from './errors.js';

/**
 * Checks `value` against `schema`. Unknown fields are dropped, and `null` in a field that may be left out counts as
 * left out, as it does on the wire, unless `nulls` says that it is refused.
 *
 * @throws {OrchestratorError} `code`, whose `issues` name each place, what was expected there and what came.
 */
export function validate<T extends z.ZodType>(
  schema: T,
  value: unknown,
  what: string,
  code: ErrorCode = 'invalid_request',
  nulls: 'left_out' | 'refused' = 'left_out',
): z.output<T> {
  let parsed;
  let issues: readonly Issue[];
  try {
    parsed = schema.safeParse(value);
    if (parsed.success) return parsed.data;
    if (nulls === 'left_out') parsed = schema.safeParse(withoutNulls(value, parsed.error.issues));
    if (parsed.success) return parsed.data;
    issues = parsed.error.issues.flatMap((issue) => toIssues(issue, value));
  } catch (error) {
    const message = `${what}: expected values that can be read, got something that throws`;
    throw new OrchestratorError(code, message, { cause: error });
  }
  const first = issues[0] as Issue;
  const more = issues.length > 1 ? ` (and ${issues.length - 1} more)` : '';
  const where = first.path ? ` at "${first.path}"` : '';
  throw new OrchestratorError(code, `${what}${where}: expected ${first.expected}, got ${first.got}${more}`, {
    issues,
  });
}

/** The value, without each `null` that is not what was expected at its place. */
function withoutNulls(value: unknown, issues: readonly z.core.$ZodIssue[]): unknown {
  return issues.reduce(
    (left, { path }) => (valueAt(left, path) === null ? without(left, path) : left),
    value,
  );
}

function without(value: unknown, [key, ...rest]: readonly PropertyKey[]): unknown {
  if (key === undefined || typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((item, at) => (at === key ? without(item, rest) : item));
  const { [key]: inner, ...others } = value as Record<PropertyKey, unknown>;
  return rest.length === 0 ? others : { ...others, [key]: without(inner, rest) };
}

function toIssues(issue: z.core.$ZodIssue, root: unknown): Issue[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      path: [...issue.path, key].join('.'),
      expected: 'no such field',
      got: 'one',
    }));
  }
  const got = describe(valueAt(root, issue.path));
  const path = issue.path.map(String).join('.');
  if (issue.code === 'invalid_union' && issue.errors.length > 0) {
    const options = issue.errors.map((branch) => branch[0]?.message ?? '').filter(Boolean);
    return [{ path, expected: expectation([...new Set(options)].join(' or ') || issue.message), got }];
  }
  return [{ path, expected: expectation(issue.message), got }];
}

/** zod words it "Invalid input: expected string, received number"; what is wanted here is the part in the middle. */
function expectation(message: string): string {
  const match = /expected (.+?)(?:, (?:received|got) .*)?$/s.exec(message);
  return match?.[1] ?? message;
}

function valueAt(root: unknown, path: readonly PropertyKey[]): unknown {
  let value = root;
  for (const key of path) {
    if (value === null || typeof value !== 'object') return undefined;
    value = (value as Record<PropertyKey, unknown>)[key];
  }
  return value;
}

/** A value in a few words that are safe in an error: short scalars as they are, the rest by kind and size. */
export function describe(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (typeof value === 'string')
    return value.length <= 60 ? JSON.stringify(value) : `a string of ${value.length} characters`;
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === 'object') return 'an object';
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  return typeof value;
}

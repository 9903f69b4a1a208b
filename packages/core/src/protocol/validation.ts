import type { z } from 'zod';
import { type ErrorCode, type Issue, OrchestratorError } from './errors.js';
import { MAX_ISSUES, type Nulls, parseByRule, valueAt } from './lenient-parse.js';

/** Maximum length of a reported path: keys may be as long as the body. */
const MAX_PATH = 200;

/**
 * Checks `value` against `schema`. Drops unknown fields; treats `null` in an optional field as absent, as on the wire, unless
 * `nulls` is `refused`. Linear in the size of `value`.
 *
 * @throws {OrchestratorError} `code`; `issues` has the first 20 paths, each with the expected and the received value.
 */
export function validate<T extends z.ZodType>(
  schema: T,
  value: unknown,
  what: string,
  code: ErrorCode = 'invalid_request',
  nulls: Nulls = 'left_out',
): z.output<T> {
  let issues: readonly Issue[];
  try {
    const parsed = parseByRule(nulls, schema, value);
    if (parsed.success) return parsed.data;
    issues = parsed.error.issues.slice(0, MAX_ISSUES).flatMap((issue) => toIssues(issue, value));
  } catch (error) {
    const message = `${what}: expected readable values, got one that throws`;
    throw new OrchestratorError(code, message, { cause: error });
  }
  throw new OrchestratorError(code, issueMessage(what, issues), { issues: issues.slice(0, MAX_ISSUES) });
}

/** Error message for at least one issue: the first, and the number of the others. */
export function issueMessage(what: string, issues: readonly Issue[]): string {
  const { path, expected, got } = issues[0] as Issue;
  const where = path ? ` at "${path}"` : '';
  return `${what}${where}: expected ${expected}, got ${got}${moreThanOne(issues.length)}`;
}

function moreThanOne(count: number): string {
  if (count <= 1) return '';
  return ` (and ${count < MAX_ISSUES ? '' : 'at least '}${count - 1} more)`;
}

function toIssues(issue: z.core.$ZodIssue, root: unknown): Issue[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.slice(0, MAX_ISSUES).map((key) => ({
      path: pathText([...issue.path, key]),
      expected: 'no such field',
      got: 'one',
    }));
  }
  const got = describe(valueAt(root, issue.path));
  const path = pathText(issue.path);
  if (issue.code === 'invalid_union' && issue.errors.length > 0) {
    const options = issue.errors.map((branch) => branch[0]?.message ?? '').filter(Boolean);
    return [{ path, expected: expectation([...new Set(options)].join(' or ') || issue.message), got }];
  }
  return [{ path, expected: expectation(issue.message), got }];
}

/** A path for people, truncated. */
export function pathText(path: readonly PropertyKey[]): string {
  const text = path.map(String).join('.');
  return text.length <= MAX_PATH ? text : `${text.slice(0, MAX_PATH).toWellFormed()}…`;
}

/** The middle part of messages such as "Invalid input: expected string, received number". */
export function expectation(message: string): string {
  const match = /expected (.+?)(?:(?:,| but) (?:received|got) .*)?$/is.exec(message);
  return match?.[1] ?? message;
}

/** Short description of a value for error messages: short scalars verbatim, others by type and size. */
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

import { PAGE_CURSOR } from '../protocol/pages.js';
import { boundedJson, checkText, type JsonRule } from '../protocol/bounded-json.js';
import { OrchestratorError } from '../protocol/errors.js';
import { unreadText } from '../protocol/known-text.js';
import { describe } from '../protocol/validation.js';

/**
 * Validates one parameter of a storage call and returns it normalised; nearly always the same value. Hand-written for speed:
 * every task passes a dozen of these checks.
 *
 * @param path last segment of the value's path.
 * @throws {ParamRefused} or, for values that can't be JSON, `OrchestratorError`
 */
export type Check = (value: unknown, path: string) => unknown;

/** An invalid parameter. Its path is built while the error propagates, so that valid input costs nothing. */
export class ParamRefused extends Error {
  override readonly name = 'ParamRefused';
  constructor(
    readonly path: string,
    readonly expected: string,
    readonly got: string,
  ) {
    super(`${path}: expected ${expected}, got ${got}`);
  }

  in(path: string): ParamRefused {
    return new ParamRefused(path === '' ? this.path : `${path}.${this.path}`, this.expected, this.got);
  }

  toError(): OrchestratorError {
    const { path, expected, got } = this;
    return new OrchestratorError('invalid_request', this.message, { issues: [{ path, expected, got }] });
  }
}

function refuse(path: string, expected: string, got: unknown): never {
  throw new ParamRefused(path, expected, describe(got));
}

function withPath(thrown: unknown, path: string): unknown {
  return thrown instanceof ParamRefused ? thrown.in(path) : thrown;
}

const NAME = /^[\w@][\w.:@/~+-]{0,399}$/;
const VISIBLE = /^[\x21-\x7e]{1,400}$/;
/** Storages use control characters as separators in composed keys. */
const CONTROL = /\p{Cc}/u;

/** An id, token, service or operation. Needs no quoting in JSON or keys. */
export const name: Check = (value, path) =>
  typeof value === 'string' && NAME.test(value)
    ? value
    : refuse(path, '1 to 400 letters, digits or any of _.:@/~+-', value);

/** A caller's idempotency key: visible ASCII. */
export const visible: Check = (value, path) =>
  typeof value === 'string' && VISIBLE.test(value)
    ? value
    : refuse(path, '1 to 400 visible characters', value);

/** Text used as a lookup key: well-formed, without control characters. */
export const label: Check = (value, path) => {
  if (typeof value !== 'string' || value === '' || value.length > 1_000)
    return refuse(path, 'a text of 1 to 1,000 characters', value);
  if (CONTROL.test(value)) return refuse(path, 'a text without control characters', value);
  return value.toWellFormed();
};

/** Free text: a lone surrogate becomes U+FFFD. */
export const text =
  (max: number): Check =>
  (value, path) =>
    typeof value === 'string' && value.length <= max
      ? value.toWellFormed()
      : refuse(path, `a text of at most ${max} characters`, value);

export const whole =
  (min: number, max: number = Number.MAX_SAFE_INTEGER): Check =>
  (value, path) =>
    Number.isInteger(value) && (value as number) >= min && (value as number) <= max
      ? value
      : refuse(path, `a whole number from ${min} to ${max}`, value);

/** A quantity, such as tokens; fractions are kept. */
export const amount: Check = (value, path) =>
  typeof value === 'number' && value >= 0 && value <= Number.MAX_SAFE_INTEGER
    ? value + 0
    : refuse(path, `a number from 0 to ${Number.MAX_SAFE_INTEGER}`, value);

/** The end of the year 9999: longer dates cannot be formatted. */
const MAX_TIME_MS = 253_402_300_799_999;

/** A duration in ms, or epoch ms; fractions are rounded up, so that nothing ends early. */
export const span: Check = (value, path) =>
  typeof value === 'number' && value >= 0 && value <= MAX_TIME_MS
    ? Math.ceil(value)
    : refuse(path, `milliseconds from 0 to ${MAX_TIME_MS}`, value);

/** Like `span`, but may be infinite. */
export const spanOrNone: Check = (value, path) =>
  value === Number.POSITIVE_INFINITY ? value : span(value, path);

export const flag: Check = (value, path) =>
  typeof value === 'boolean' ? value : refuse(path, 'true or false', value);

export const oneOf =
  (...values: readonly string[]): Check =>
  (value, path) =>
    values.includes(value as string) ? value : refuse(path, `one of ${values.join(', ')}`, value);

/** Cursor of a page of tasks. */
export const pageCursor: Check = (value, path) =>
  typeof value === 'string' && PAGE_CURSOR.test(value) ? value : refuse(path, 'the "next" of a page', value);

/** A day, `YYYY-MM-DD`. */
export const day: Check = (value, path) =>
  typeof value === 'string' && /^\d{4}-\d{2}-\d{2}$/.test(value) && !Number.isNaN(Date.parse(value))
    ? value
    : refuse(path, 'a day, YYYY-MM-DD', value);

/** Checks for fields that may still be unparsed text. */
const textChecks = new WeakMap<Check, (text: string, path: string) => void>();

/** Any JSON of at most 1 MiB. */
export const json = (tooLarge: NonNullable<JsonRule['tooLarge']> = 'payload_too_large'): Check => {
  const check: Check = (value, path) => boundedJson(value, { what: path, tooLarge });
  textChecks.set(check, (text, path) => checkText(text, { what: path, tooLarge }));
  return check;
};

/** A JSON object of at most 1 MiB. */
export const jsonObject: Check = (value, path) => {
  const read = boundedJson(value, { what: path, tooLarge: 'payload_too_large' });
  return typeof read === 'object' && read !== null && !Array.isArray(read)
    ? read
    : refuse(path, 'a JSON object', value);
};

export const optional =
  (check: Check): Check =>
  (value, path) =>
    value === undefined ? undefined : check(value, path);

/** Nothing: the field does not go with the others. */
export const absent: Check = (value, path) =>
  value === undefined ? undefined : refuse(path, 'nothing here', value);

/** Unchecked: values that stay in this process, such as an `AbortSignal`. */
export const anything: Check = (value) => value;

/** An object's fields by name; others pass unchecked. Copies the object only if a field was normalised. */
export const fields = (checks: Readonly<Record<string, Check>>): Check => {
  const entries = Object.entries(checks).map(([key, check]) => [key, check, textChecks.get(check)] as const);
  return (value, path) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      return refuse(path, 'an object', value);
    let checked = value as Record<string, unknown>;
    try {
      for (const [key, check, checkOfText] of entries) {
        const text = checkOfText && unreadText(value, key);
        if (text !== undefined) {
          checkOfText?.(text, key);
          continue;
        }
        const before = (value as Record<string, unknown>)[key];
        const after = check(before, key);
        if (Object.is(after, before)) continue;
        if (checked === value) checked = { ...value };
        checked[key] = after;
      }
    } catch (thrown) {
      throw withPath(thrown, path);
    }
    return checked;
  };
};

/** Like `fields`, without others: for what is stored as it is. */
export const picked = (checks: Readonly<Record<string, Check>>): Check => {
  const check = fields(checks);
  return (value, path) => {
    const checked = check(value, path) as Readonly<Record<string, unknown>>;
    const known = Object.keys(checks).filter((key) => checked[key] !== undefined);
    return Object.fromEntries(known.map((key) => [key, checked[key]]));
  };
};

/** An array of at most `max` elements. */
export const list =
  (check: Check, max: number): Check =>
  (value, path) => {
    if (!Array.isArray(value)) return refuse(path, 'an array', value);
    if (value.length > max) return refuse(path, `an array of at most ${max}`, value);
    let checked: unknown[] = value;
    let at = 0;
    try {
      for (; at < value.length; at += 1) {
        const after = check(value[at], '');
        if (Object.is(after, value[at])) continue;
        if (checked === value) checked = [...value];
        checked[at] = after;
      }
    } catch (thrown) {
      throw withPath(thrown, `${path}.${at}`);
    }
    return checked;
  };

/** A non-empty array. */
export const filled =
  (check: Check): Check =>
  (value, path) =>
    Array.isArray(value) && value.length === 0 ? refuse(path, 'at least one', value) : check(value, path);

/** A discriminated union. */
export const variants =
  (field: string, checks: Readonly<Record<string, Check>>): Check =>
  (value, path) => {
    const kind = (value as Record<string, unknown> | null | undefined)?.[field];
    const check = typeof kind === 'string' && Object.hasOwn(checks, kind) ? checks[kind] : undefined;
    const expected = `one of ${Object.keys(checks).join(', ')}`;
    return check ? check(value, path) : refuse(`${path}.${field}`, expected, kind);
  };

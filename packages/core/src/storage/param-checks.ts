import { boundedJson, checkText, type JsonRule } from '../protocol/bounded-json.js';
import { OrchestratorError } from '../protocol/errors.js';
import { unreadText } from '../protocol/known-text.js';
import { describe } from '../protocol/validation.js';

/**
 * Checks one value that a storage is given, and returns it as it is to be stored: the same value where that is right
 * already, which is nearly always. These are written out, since every task passes through a dozen of them.
 *
 * @param path the last part of its place.
 * @throws {ParamRefused} or, for what can't be JSON, `OrchestratorError`
 */
export type Check = (value: unknown, path: string) => unknown;

/** Something that a storage does not take. Its place is put together on the way out, since mostly nothing is refused. */
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

function inside(thrown: unknown, path: string): unknown {
  return thrown instanceof ParamRefused ? thrown.in(path) : thrown;
}

const NAME = /^[\w@][\w.:@/~+-]{0,399}$/;
const VISIBLE = /^[\x21-\x7e]{1,400}$/;
/** Control characters separate what a storage puts together. */
const CONTROL = /\p{Cc}/u;

/** An id, a token, a service, an operation: letters, digits, and what stands between them. It is never quoted. */
export const name: Check = (value, path) =>
  typeof value === 'string' && NAME.test(value)
    ? value
    : refuse(path, '1 to 400 letters, digits or any of _.:@/~+-', value);

/** What a caller tells requests apart by: visible ASCII. */
export const visible: Check = (value, path) =>
  typeof value === 'string' && VISIBLE.test(value)
    ? value
    : refuse(path, '1 to 400 visible characters', value);

/** Text that something is found by again: well-formed, without control characters. */
export const label: Check = (value, path) => {
  if (typeof value !== 'string' || value === '' || value.length > 1_000)
    return refuse(path, 'a text of 1 to 1,000 characters', value);
  if (CONTROL.test(value)) return refuse(path, 'a text without control characters', value);
  return value.toWellFormed();
};

/** Text for people: half of a surrogate pair becomes U+FFFD. */
export const text =
  (max: number): Check =>
  (value, path) =>
    typeof value === 'string' && value.length <= max
      ? value.toWellFormed()
      : refuse(path, `a text of at most ${max} characters`, value);

/** A whole number. */
export const whole =
  (least: number, most: number = Number.MAX_SAFE_INTEGER): Check =>
  (value, path) =>
    Number.isInteger(value) && (value as number) >= least && (value as number) <= most
      ? value
      : refuse(path, `a whole number from ${least} to ${most}`, value);

/** A number of anything, such as tokens; fractions are kept. */
export const amount: Check = (value, path) =>
  typeof value === 'number' && value >= 0 && value <= Number.MAX_SAFE_INTEGER
    ? value + 0
    : refuse(path, `a number from 0 to ${Number.MAX_SAFE_INTEGER}`, value);

/** The end of the year 9999: no date with more digits is written anywhere. */
const MAX_TIME_MS = 253_402_300_799_999;

/** Milliseconds, a span or since 1970: a fraction is rounded up, so that nothing ends before its time. */
export const span: Check = (value, path) =>
  typeof value === 'number' && value >= 0 && value <= MAX_TIME_MS
    ? Math.ceil(value)
    : refuse(path, `milliseconds from 0 to ${MAX_TIME_MS}`, value);

/** The same, where there may be no limit at all. */
export const spanOrNone: Check = (value, path) =>
  value === Number.POSITIVE_INFINITY ? value : span(value, path);

export const flag: Check = (value, path) =>
  typeof value === 'boolean' ? value : refuse(path, 'true or false', value);

export const oneOf =
  (...values: readonly string[]): Check =>
  (value, path) =>
    values.includes(value as string) ? value : refuse(path, `one of ${values.join(', ')}`, value);

/** Where a page of tasks goes on. */
export const place: Check = (value, path) =>
  typeof value === 'string' && /^\d{1,15}$/.test(value) ? value : refuse(path, 'the "next" of a page', value);

/** A day, `YYYY-MM-DD`. */
export const day: Check = (value, path) =>
  typeof value === 'string' && /^\d{4}-\d{2}-\d{2}$/.test(value) && !Number.isNaN(Date.parse(value))
    ? value
    : refuse(path, 'a day, YYYY-MM-DD', value);

/** What checks fields that may be there as text. */
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

/** Anything: what only this process sees, such as an `AbortSignal`. */
export const anything: Check = (value) => value;

/** Fields by name. Others are left as they are. The same object, unless one of them has to be another. */
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
      throw inside(thrown, path);
    }
    return checked;
  };
};

/** Elements, at most `most`. */
export const list =
  (check: Check, most: number): Check =>
  (value, path) => {
    if (!Array.isArray(value)) return refuse(path, 'an array', value);
    if (value.length > most) return refuse(path, `an array of at most ${most}`, value);
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
      throw inside(thrown, `${path}.${at}`);
    }
    return checked;
  };

/** At least one element. */
export const filled =
  (check: Check): Check =>
  (value, path) =>
    Array.isArray(value) && value.length === 0 ? refuse(path, 'at least one', value) : check(value, path);

/** By the field that tells variants apart. */
export const variants =
  (field: string, checks: Readonly<Record<string, Check>>): Check =>
  (value, path) => {
    const kind = (value as Record<string, unknown> | null | undefined)?.[field];
    const check = typeof kind === 'string' && Object.hasOwn(checks, kind) ? checks[kind] : undefined;
    const expected = `one of ${Object.keys(checks).join(', ')}`;
    return check ? check(value, path) : refuse(`${path}.${field}`, expected, kind);
  };

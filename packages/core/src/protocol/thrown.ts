import { type ErrorCode, isErrorCode, OrchestratorError, type TaskError } from './errors.js';
import { cutText } from './text.js';

/** What operators get to know of something that was thrown: never shown to tenants. */
export interface Diagnostic {
  /** The text of the error, or of whatever was thrown instead of one. */
  readonly message: string;
  /** The texts of its causes, the nearest first; of an `AggregateError` also those of its errors. */
  readonly causes?: readonly string[];
  /** Of the first error that has one. */
  readonly stack?: string;
}

/** The failure of a step: what the workflow catches, and what operators are to know of it. */
export interface StepFailure extends TaskError {
  /** Its message is the text of an error that is not this project's: tenants do not see it. */
  readonly foreign?: boolean;
  /** Of such an error. */
  readonly diagnostic?: Diagnostic;
}

/** In UTF-16 units. */
const MAX_MESSAGE = 2_000;
const MAX_CAUSE = 500;
const MAX_STACK = 8_000;
const MAX_CAUSES = 10;
const MAX_OF_AGGREGATE = 3;
/** Errors within errors may be a circle, or share their parts: 40 of them are looked at for one text, at most. */
const MAX_DEPTH = 3;

/** Reading may throw: getters do, and Proxies whatever is done to them. */
function safely<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

function field(of: unknown, name: string): unknown {
  if ((typeof of !== 'object' && typeof of !== 'function') || of === null) return undefined;
  return safely(() => (of as Readonly<Record<string, unknown>>)[name]);
}

function textField(of: unknown, name: string): string | undefined {
  const value = field(of, name);
  return typeof value === 'string' && value.trim() !== '' ? value : undefined;
}

/** Whether it is an error of this project; a Proxy may throw even when it is asked that. */
export function isOrchestratorError(thrown: unknown): thrown is OrchestratorError {
  return safely(() => thrown instanceof OrchestratorError) === true && isErrorCode(field(thrown, 'code'));
}

function isError(thrown: unknown): boolean {
  return safely(() => thrown instanceof Error) === true;
}

function errorsOf(thrown: unknown): readonly unknown[] {
  const errors = field(thrown, 'errors');
  const list = safely(() => Array.isArray(errors)) === true ? (errors as readonly unknown[]) : [];
  // One by one: what calls itself an array may have methods of its own.
  const length = Number(field(list, 'length'));
  const found: unknown[] = [];
  for (let at = 0; at < length && at < MAX_CAUSES; at += 1) found.push(field(list, String(at)));
  return found;
}

/** An object's own text, where it is neither an error nor has a message: as JSON, if there is any. */
function objectText(thrown: object): string {
  const json = safely(() => JSON.stringify(thrown) as string | undefined);
  if (json !== undefined && json !== '{}') return json;
  const text = safely(() => (thrown as { toString(): unknown }).toString());
  if (typeof text === 'string' && text.trim() !== '' && !text.startsWith('[object ')) return text;
  return 'an object without a message';
}

/** Some words for anything that can be thrown; never empty, never throws. */
function wordsOf(thrown: unknown, depth = 0): string {
  if (typeof thrown === 'string') return thrown.trim() === '' ? 'an empty text was thrown' : thrown;
  if (thrown === undefined || thrown === null) return `${thrown} was thrown`;
  if (typeof thrown !== 'object' && typeof thrown !== 'function')
    return (thrown as number | bigint | boolean | symbol).toString();
  const message = textField(thrown, 'message');
  if (message !== undefined) return message;
  if (depth === MAX_DEPTH) return 'an error within errors';
  const errors = errorsOf(thrown);
  if (errors.length > 0) {
    const first = errors
      .slice(0, MAX_OF_AGGREGATE)
      .map((error) => wordsOf(error, depth + 1).slice(0, MAX_MESSAGE));
    return `${errors.length} errors: ${first.join('; ')}${errors.length > first.length ? '; …' : ''}`;
  }
  const own = field(thrown, 'message');
  if (own !== undefined && own !== null && own !== '') return wordsOf(own, depth + 1);
  if (isError(thrown)) return `${textField(thrown, 'name') ?? 'Error'} without a message`;
  return typeof thrown === 'function' ? 'a function was thrown' : objectText(thrown);
}

/** The message of anything that can be thrown: well-formed, not empty, at most 2,000 UTF-16 units. */
export function messageOf(thrown: unknown): string {
  return cutText(wordsOf(thrown), MAX_MESSAGE);
}

/** The name of a thrown error's class; `Error` for what has none. */
export function classNameOf(thrown: unknown): string {
  const made = isError(thrown) ? field(thrown, 'constructor') : undefined;
  return textField(made, 'name') ?? 'Error';
}

function causesOf(thrown: unknown): string[] {
  const causes: string[] = [];
  const known = new Set<unknown>([thrown]);
  const waiting = [...errorsOf(thrown), field(thrown, 'cause')];
  while (waiting.length > 0 && causes.length < MAX_CAUSES) {
    const cause = waiting.shift();
    if (cause === undefined || cause === null || known.has(cause)) continue;
    known.add(cause);
    causes.push(cutText(messageOf(cause), MAX_CAUSE));
    waiting.unshift(...errorsOf(cause), field(cause, 'cause'));
  }
  return causes;
}

/** What operators are told of anything that can be thrown. What a step has thrown was looked at when it did. */
export function diagnose(thrown: unknown): Diagnostic {
  const known = field(thrown, 'diagnostic');
  if (isOrchestratorError(thrown) && typeof known === 'object' && known !== null) return known as Diagnostic;
  const causes = causesOf(thrown);
  const stack = textField(thrown, 'stack') ?? textField(field(thrown, 'cause'), 'stack');
  return {
    message: messageOf(thrown),
    ...(causes.length > 0 && { causes }),
    ...(stack !== undefined && { stack: cutText(stack, MAX_STACK) }),
  };
}

/**
 * What is stored of anything that can be thrown. Errors that are not this project's become `fallback`, and `foreign`: their
 * text is for operators, and for the workflow that may catch them.
 */
export function toTaskError(thrown: unknown, fallback: ErrorCode = 'internal_error'): StepFailure {
  const message = messageOf(thrown);
  const retryable = field(thrown, 'retryable') === true;
  if (isOrchestratorError(thrown)) {
    const foreign = field(thrown, 'foreign') === true;
    return { code: thrown.code, message, retryable, ...(foreign && { foreign }) };
  }
  return { code: fallback, message, retryable, foreign: true, diagnostic: diagnose(thrown) };
}

/** The error as tenants see it: the text of a foreign one stays with the operators, unless the host shows it. */
export function publicError(error: StepFailure, where: string, expose: boolean): TaskError {
  const { foreign, diagnostic: _, ...shown } = error;
  if (!foreign || expose) return shown;
  return { ...shown, message: `unexpected error in ${where}; operators find its text with the task` };
}

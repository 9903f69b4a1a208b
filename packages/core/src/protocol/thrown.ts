import { type ErrorCode, isErrorCode, OrchestratorError, type TaskError } from './errors.js';
import { clampDelay } from './retry-after.js';
import { cutText } from './text.js';

/** Details of a thrown value, for operators; never shown to tenants. */
export interface Diagnostic {
  /** Message of the error, or text of another thrown value. */
  readonly message: string;
  /** Messages of its causes, nearest first, and of the errors of an `AggregateError`. */
  readonly causes?: readonly string[];
  /** Stack of the error, or of its cause. */
  readonly stack?: string;
}

/** Failure of a step, as caught by the workflow, with details for operators. */
export interface StepFailure extends TaskError {
  /** The message is that of an error other than `OrchestratorError`: hidden from tenants. */
  readonly foreign?: boolean;
  /** Details of the foreign error. */
  readonly diagnostic?: Diagnostic;
  /** Delay that the service asked for, ms. */
  readonly retryAfterMs?: number;
}

/** In UTF-16 units. */
const MAX_MESSAGE = 2_000;
const MAX_CAUSE = 500;
const MAX_STACK = 8_000;
const MAX_CAUSES = 10;
const MAX_OF_AGGREGATE = 3;
/** Nested errors may be cyclic or share parts: at most 40 are visited for one text. */
const MAX_DEPTH = 3;

/** Reading a thrown value may itself throw: getters, and Proxies on any access. */
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

/** Whether `thrown` is an error of this project. Safe for Proxies, where even `instanceof` may throw. */
export function isOrchestratorError(thrown: unknown): thrown is OrchestratorError {
  return safely(() => thrown instanceof OrchestratorError) === true && isErrorCode(field(thrown, 'code'));
}

function isError(thrown: unknown): boolean {
  return safely(() => thrown instanceof Error) === true;
}

function errorsOf(thrown: unknown): readonly unknown[] {
  const errors = field(thrown, 'errors');
  const list = safely(() => Array.isArray(errors)) === true ? (errors as readonly unknown[]) : [];
  // By index: an array-like Proxy may override methods.
  const length = Number(field(list, 'length'));
  const found: unknown[] = [];
  for (let at = 0; at < length && at < MAX_CAUSES; at += 1) found.push(field(list, String(at)));
  return found;
}

/** Text of an object without a message: its JSON, else its `toString()`. */
function objectText(thrown: object): string {
  const json = safely(() => JSON.stringify(thrown) as string | undefined);
  if (json !== undefined && json !== '{}') return json;
  const text = safely(() => (thrown as { toString(): unknown }).toString());
  if (typeof text === 'string' && text.trim() !== '' && !text.startsWith('[object ')) return text;
  return 'an object without a message';
}

/** Text of any thrown value; never empty, never throws. */
function textOfThrown(thrown: unknown, depth = 0): string {
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
      .map((error) => textOfThrown(error, depth + 1).slice(0, MAX_MESSAGE));
    return `${errors.length} errors: ${first.join('; ')}${errors.length > first.length ? '; …' : ''}`;
  }
  const own = field(thrown, 'message');
  if (own !== undefined && own !== null && own !== '') return textOfThrown(own, depth + 1);
  if (isError(thrown)) return `${textField(thrown, 'name') ?? 'Error'} without a message`;
  return typeof thrown === 'function' ? 'a function was thrown' : objectText(thrown);
}

/** Message of any thrown value: well-formed, not empty, at most 2,000 UTF-16 units. */
export function messageOf(thrown: unknown): string {
  return cutText(textOfThrown(thrown), MAX_MESSAGE);
}

/** Class name of a thrown error; `Error` if it has none. */
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

/** Diagnostic of any thrown value. The failure of a step already carries its own. */
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

/** A diagnostic that may have been changed since `diagnose`, within its limits; `undefined` for what is none. */
export function storedDiagnostic(value: unknown): Diagnostic | undefined {
  if (textField(value, 'message') === undefined) return undefined;
  const list = field(value, 'causes');
  const causes: unknown[] = safely(() => Array.isArray(list)) ? (list as unknown[]).slice(0, MAX_CAUSES) : [];
  const texts = causes.filter((cause) => typeof cause === 'string').map((cause) => cutText(cause, MAX_CAUSE));
  const stack = textField(value, 'stack');
  return {
    message: messageOf(value),
    ...(texts.length > 0 && { causes: texts }),
    ...(stack !== undefined && { stack: cutText(stack, MAX_STACK) }),
  };
}

/**
 * The storable form of any thrown value. Errors other than `OrchestratorError` get the code `fallback` and are `foreign`: their
 * message is for operators, and for the workflow that may catch them.
 */
export function toTaskError(thrown: unknown, fallback: ErrorCode = 'internal_error'): StepFailure {
  const message = messageOf(thrown);
  const retryable = field(thrown, 'retryable') === true;
  if (isOrchestratorError(thrown)) {
    const foreign = field(thrown, 'foreign') === true;
    const retryAfterMs = clampDelay(field(thrown, 'retryAfterMs') as number | undefined);
    return {
      code: thrown.code,
      message,
      retryable,
      ...(foreign && { foreign }),
      ...(retryAfterMs !== undefined && { retryAfterMs }),
    };
  }
  return { code: fallback, message, retryable, foreign: true, diagnostic: diagnose(thrown) };
}

/** The error as shown to tenants: a foreign message is replaced, unless `expose` is set. */
export function publicError(error: StepFailure, where: string, expose: boolean): TaskError {
  const { foreign, code, message, retryable } = error;
  const shown = { code, message, retryable };
  if (!foreign || expose) return shown;
  return { ...shown, message: `unexpected error in ${where}; operators find its text with the task` };
}

import { type StepFailure, toTaskError } from '../protocol/thrown.js';
import type { JsonValue } from '../protocol/json.js';
import type { Delivery } from './replay.js';
import type { RequestedStep } from './requested-step.js';
import { ServiceCallError, StepError } from './step-error.js';

/**
 * Settles the promise of a requested step with its recorded outcome. A result that breaks its contract is a failed call, which an
 * attempt does not inherit: the step that repeats the call is returned instead, and settles the promise.
 *
 * Only the result of a 202 job can be such a success in the journal, or one recorded under another contract: a report is recorded
 * without the workflow, and what a service answers itself is checked before. `isRecorded`: whether the journal has a key.
 */
export function deliver(
  { step, requested, inherited }: Delivery,
  isRecorded: (key: string) => boolean,
  limits: { readonly callTries: number },
): RequestedStep | undefined {
  const { key, outcome } = step;
  const { command, resolve, reject } = requested;
  if (!outcome) return undefined;
  if (!outcome.ok) {
    const isCall = command.kind === 'call';
    const tries = (isCall && command.maxTries) || limits.callTries;
    if (isCall) reject(new ServiceCallError(key, ofCall(outcome.error, step.tries < tries)));
    else reject(new StepError(key, outcome.error));
    return undefined;
  }
  const read = command.kind === 'call' ? command.read : undefined;
  if (!read) {
    resolve(outcome.value);
    return undefined;
  }
  const repeat = inherited ? repeatOf(requested) : undefined;
  // A repetition that has begun stays: the contract may have been mended since.
  if (repeat && isRecorded(repeat.key)) return repeat;
  const result = readResult(read, outcome.value);
  if (result.ok) resolve(result.value);
  else if (repeat) return repeat;
  else reject(new ServiceCallError(key, result.error));
  return undefined;
}

/** Retries have one owner: a call that has used all its tries is not a reason for another attempt of the task. */
function ofCall(error: StepFailure, hasTries: boolean): StepFailure {
  return hasTries ? error : { ...error, retryable: false };
}

/** A result by its contract, or the failure of the call. */
export function readResult(read: (result: JsonValue) => unknown, result: JsonValue) {
  try {
    return { ok: true, value: read(result) } as const;
  } catch (error) {
    return { ok: false, error: { ...toTaskError(error, 'invalid_response'), retryable: false } } as const;
  }
}

const REPEATED = /^\+(\d+) (.*)$/s;

/** The same call under a key of its own: `+2 <key>`, then `+3 <key>`. No other key begins with a plus sign. */
function repeatOf(requested: RequestedStep): RequestedStep {
  const [, count = '1', key = requested.key] = REPEATED.exec(requested.key) ?? [];
  return { ...requested, key: `+${Number(count) + 1} ${key}`, delivered: false };
}

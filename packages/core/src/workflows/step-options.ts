import { z } from 'zod';
import { labelSchema } from '../protocol/ids.js';
import { DEFAULTS } from '../protocol/settings.js';
import { progressSchema } from '../protocol/task.js';
import { validate } from '../protocol/validation.js';

const idOption = { id: labelSchema(200).optional() };
/** Whole ms; fractions are rounded up, so that nothing ends early. */
const timeOption = z.number().min(0).max(DEFAULTS.maxTaskTimeoutMs).transform(Math.ceil);

const callOptionsSchema = z.strictObject({
  ...idOption,
  timeoutMs: timeOption.refine((ms) => ms > 0, 'expected more than 0').optional(),
  retry: z.strictObject({ maxAttempts: z.int().min(1).max(100) }).optional(),
});
const namedSchema = z.strictObject(idOption);
const signalOptionsSchema = z.strictObject({ ...idOption, timeoutMs: timeOption.optional() });

export interface CheckedCallOptions {
  readonly id?: string | undefined;
  readonly timeoutMs?: number | undefined;
  readonly retry?: { readonly maxAttempts: number } | undefined;
}

const NONE = Object.freeze({});

// Fast path: most steps have no options.

/** @throws {OrchestratorError} `invalid_request`, naming the option; so do the others. */
export function checkCallOptions(options: unknown): CheckedCallOptions {
  return options === undefined ? NONE : validate(callOptionsSchema, options, 'the options of the call');
}

export function checkStepOptions(options: unknown): { readonly id?: string | undefined } {
  return options === undefined ? NONE : validate(namedSchema, options, 'the options of the step');
}

export function checkSignalOptions(options: unknown): CheckedCallOptions {
  return options === undefined ? NONE : validate(signalOptionsSchema, options, 'the options of the wait');
}

/** Duration of a sleep in whole ms, at most 30 days. */
export function checkSleep(ms: unknown): number {
  return validate(timeOption, ms, 'sleep');
}

export function checkProgress(progress: unknown) {
  return validate(progressSchema, progress, 'progress');
}

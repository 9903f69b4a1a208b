import { PAGE_SIZES } from '@agent-orchestrator/core/protocol';
import { UsageError } from '../errors/errors.js';

/** Integer of a flag. @throws {UsageError} */
export function wholeNumber(flag: string, text: string, min: number, max: number): number {
  const number = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (number >= min && number <= max) return number;
  throw new UsageError(`${flag}: expected a whole number from ${min} to ${max}, got "${text}"`);
}

/** Page size of a flag. */
export function pageSize(
  text: string | undefined,
  usual: number,
  max: number = PAGE_SIZES.tenant.max,
): number {
  return text === undefined ? usual : wholeNumber('--limit', text, 1, max);
}

import { UsageError } from '../errors/errors.js';

const MAX_PAGE = 500;

/** Integer of a flag. @throws {UsageError} */
export function wholeNumber(flag: string, text: string, min: number, max: number): number {
  const number = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (number >= min && number <= max) return number;
  throw new UsageError(`${flag}: expected a whole number from ${min} to ${max}, got "${text}"`);
}

/** Page size of a flag. */
export function pageSize(text: string | undefined, usual: number): number {
  return text === undefined ? usual : wholeNumber('--limit', text, 1, MAX_PAGE);
}

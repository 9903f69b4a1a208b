import { OrchestratorError } from './errors.js';
import { describe } from './validation.js';

/** Maximum `limit` of a page. */
const MAX_PAGE = 500;

/** @throws {OrchestratorError} `invalid_request` unless 1 to 500; default 50. */
export function checkLimit(limit = 50): number {
  if (Number.isInteger(limit) && limit >= 1 && limit <= MAX_PAGE) return limit;
  throw new OrchestratorError('invalid_request', `limit: expected 1 to ${MAX_PAGE}, got ${describe(limit)}`);
}

import { CLOSE } from '../sockets/close-codes.js';
import type { Authentication } from './authenticator.js';

/** Close code of a refused credential, as the statuses 503, 403 and 401 over HTTP. */
export function closeFor(result: Exclude<Authentication, { readonly answer: 'identified' }>): number {
  if (result.answer === 'unavailable') return CLOSE.overloaded;
  return result.error.code === 'forbidden' ? CLOSE.forbidden : CLOSE.unauthorized;
}

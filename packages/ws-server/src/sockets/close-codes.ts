import { cutToBytes } from '@agent-orchestrator/core';
import type { Authentication } from '../auth/authenticator.js';

/** Why a socket is closed. 1001 to 1013 are of RFC 6455 and the IANA registry, 44xx are the project's own. */
export const CLOSE = {
  shuttingDown: 1001,
  notText: 1003,
  badFrames: 1008,
  overloaded: 1013,
  unauthorized: 4401,
  forbidden: 4403,
  tooSlow: 4408,
  tooManyFrames: 4429,
} as const;

/** The code for a credential that was not taken, for the same reasons as the statuses 503, 403 and 401 over HTTP. */
export function closeFor(result: Exclude<Authentication, { readonly answer: 'identified' }>): number {
  if (result.answer === 'unavailable') return CLOSE.overloaded;
  return result.error.code === 'forbidden' ? CLOSE.forbidden : CLOSE.unauthorized;
}

/** The longest reason that fits into a close frame, in bytes. */
const MAX_REASON_BYTES = 123;

/** A reason, cut to what a close frame holds without cutting a character. */
export function closeReason(text: string): string {
  return cutToBytes(text, MAX_REASON_BYTES);
}

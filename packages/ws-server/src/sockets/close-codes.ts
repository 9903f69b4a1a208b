import { cutToBytes } from '@agent-orchestrator/core/protocol';

/** Close codes: 1001 to 1013 of RFC 6455 and the IANA registry, 44xx of this project. */
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

/** Maximum reason of a close frame, bytes. */
const MAX_REASON_BYTES = 123;

/** A reason, cut to the size of a close frame at a character boundary. */
export function closeReason(text: string): string {
  return cutToBytes(text, MAX_REASON_BYTES);
}

import { cutText, messageOf } from '@agent-orchestrator/core/protocol';

const MAX_LENGTH = 4_000;

/**
 * Log text of a value thrown by foreign code: the stack of an error, else the value as text. Never throws.
 */
export function describeThrown(thrown: unknown): string {
  try {
    const stack: unknown = thrown instanceof Error ? thrown.stack : undefined;
    return cutText(typeof stack === 'string' ? stack : messageOf(thrown), MAX_LENGTH);
  } catch {
    return 'something that cannot be shown was thrown';
  }
}

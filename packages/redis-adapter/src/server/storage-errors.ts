import { OrchestratorError } from '@agent-orchestrator/core';
import { messageOf } from '@agent-orchestrator/core/protocol';

/** Redis errors that mean "unavailable for now", and their text. */
const AWAY: readonly (readonly [RegExp, string])[] = [
  [/^OOM /, 'Redis is out of memory: it takes nothing new on until there is room'],
  [/^READONLY /, 'Redis is a replica that takes no writes'],
  [/^(?:LOADING|BUSY|TRYAGAIN|MASTERDOWN|CLUSTERDOWN|UNBLOCKED|NOREPLICAS) /, 'Redis is not ready'],
  [
    /^(?:NOAUTH|WRONGPASS|NOPERM) |invalid (?:username-)?password/,
    'Redis refuses the credentials or the right',
  ],
  [/^MISCONF /, 'Redis can not write to its disk'],
];

/** The answer of Redis to a command, or the defined error. */
export async function answerOf<T>(reply: Promise<T>): Promise<T> {
  try {
    return await reply;
  } catch (error) {
    throw toStorageError(error);
  }
}

/** Converts any error: `storage_unavailable`, which is retryable, unless stored data is invalid. */
export function toStorageError(error: unknown): OrchestratorError {
  if (error instanceof OrchestratorError) return error;
  const message = messageOf(error);
  if (/WRONGTYPE/.test(message)) {
    return new OrchestratorError(
      'internal_error',
      'a key of the orchestrator holds something else in Redis',
      {
        cause: error,
      },
    );
  }
  const known = AWAY.find(([pattern]) => pattern.test(message));
  if (known) return new OrchestratorError('storage_unavailable', known[1], { cause: error });
  const isReply = error instanceof Error && error.name === 'ReplyError';
  if (isReply && !/MOVED|ASK|NOSCRIPT/.test(message))
    return new OrchestratorError('internal_error', 'a step of the storage failed in Redis', { cause: error });
  return new OrchestratorError('storage_unavailable', 'Redis does not answer', { cause: error });
}

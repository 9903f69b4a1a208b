import {
  fullJitter,
  type LinkDisconnected,
  type LinkRefused,
  OrchestratorError,
} from '@agent-orchestrator/core/notifier';

/** How a connection ended, or why there was none. */
export interface ConnectionEnd {
  /** Of the close frame; 1006 when there was none. */
  readonly code: number;
  readonly reason: string;
  /** The hub said that it does not take the token. */
  readonly refusal?: OrchestratorError | undefined;
  /** The hub said when to come back, in milliseconds. */
  readonly retryAfterMs?: number | undefined;
}

export interface ReconnectLimits {
  readonly reconnectBaseMs: number;
  readonly reconnectCapMs: number;
  readonly refusedRetryMs: number;
}

/** Close codes that mean something else than "the link is lost". */
const OVERLOADED = 1013;
const REFUSALS = new Map([
  [4401, 'unauthorized'],
  [4403, 'forbidden'],
] as const);
/** However long the hub says that it wants to be left alone, in milliseconds. */
const MAX_RETRY_AFTER_MS = 5 * 60_000;

/**
 * What a transport makes of the `attempt`-th failure in a row:
 * - refused (4401, 4403): again after half of `refusedRetryMs` to the whole of it
 * - the hub said when: then, spread over `reconnectBaseMs`
 * - overloaded (1013): again after half of `reconnectCapMs` to the whole of it
 * - anything else: full jitter.
 */
export function reconnectPlan(
  end: ConnectionEnd,
  attempt: number,
  limits: ReconnectLimits,
): LinkDisconnected | LinkRefused {
  const { reconnectBaseMs: baseMs, reconnectCapMs: capMs, refusedRetryMs } = limits;
  const refused = REFUSALS.get(end.code as 4401);
  if (end.refusal || refused) {
    const error = end.refusal ?? new OrchestratorError(refused ?? 'unauthorized', end.reason);
    return { state: 'refused', error, retryInMs: upperHalf(refusedRetryMs) };
  }
  const disconnected = { state: 'disconnected', reason: end.reason } as const;
  if (end.retryAfterMs !== undefined) {
    const asked = Math.min(end.retryAfterMs, MAX_RETRY_AFTER_MS);
    return { ...disconnected, retryInMs: asked + Math.random() * baseMs };
  }
  if (end.code === OVERLOADED) return { ...disconnected, retryInMs: upperHalf(capMs) };
  return { ...disconnected, retryInMs: fullJitter({ fraction: Math.random }, attempt, baseMs, capMs) };
}

function upperHalf(ms: number): number {
  return ms * (0.5 + Math.random() / 2);
}

import {
  fullJitter,
  type LinkDisconnected,
  type LinkRefused,
  OrchestratorError,
} from '@agent-orchestrator/core/notifier';

/** End of a connection, or of an attempt. */
export interface ConnectionEnd {
  /** Code of the close frame; 1006 without one. */
  readonly code: number;
  readonly reason: string;
  /** The hub has refused the token. */
  readonly refusal?: OrchestratorError | undefined;
  /** Retry delay requested by the hub, ms. */
  readonly retryAfterMs?: number | undefined;
}

export interface ReconnectLimits {
  readonly reconnectBaseMs: number;
  readonly reconnectCapMs: number;
  readonly refusedRetryMs: number;
}

/** Close codes other than a lost link. */
const OVERLOADED = 1013;
const REFUSALS = new Map([
  [4401, 'unauthorized'],
  [4403, 'forbidden'],
] as const);
/** Upper bound of a requested retry delay, ms. */
const MAX_RETRY_AFTER_MS = 5 * 60_000;

/**
 * Reaction to the `attempt`-th failure in a row:
 * - refused (4401, 4403): retry after half of `refusedRetryMs` to all of it
 * - requested by the hub: then, plus jitter up to `reconnectBaseMs`
 * - overloaded (1013): retry after half of `reconnectCapMs` to all of it
 * - anything else: full jitter.
 */
export function reconnectPlan(
  end: ConnectionEnd,
  attempt: number,
  limits: ReconnectLimits,
): (LinkDisconnected | LinkRefused) & { readonly retryInMs: number } {
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

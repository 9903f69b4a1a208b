import { DEFAULTS } from '@agent-orchestrator/core/protocol';

/** Time limits of the checks, ms. */
export interface CheckLimits {
  /** Wait for a service that is still starting. */
  readonly reachMs: number;
  readonly answerMs: number;
  /** From the 202, or a notification, to the next notification. */
  readonly silenceMs: number;
  /** Whole job, however often it reports. */
  readonly jobMs: number;
  /** Reconnect after a lost connection. */
  readonly connectMs: number;
  readonly pongMs: number;
  /** Resend of a deferred notification. */
  readonly againMs: number;
  /** Downtime of the hub after a cut connection. */
  readonly downMs: number;
  /** Observation time for messages that must not arrive. */
  readonly watchMs: number;
}

export const LIMITS: CheckLimits = {
  reachMs: 3_000,
  answerMs: DEFAULTS.callTimeoutMs,
  silenceMs: DEFAULTS.callSilenceMs,
  jobMs: DEFAULTS.taskTimeoutMs,
  connectMs: 35_000,
  pongMs: 15_000,
  againMs: 10_000,
  downMs: 1_500,
  watchMs: 1_000,
};

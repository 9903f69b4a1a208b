import { DEFAULTS } from '@agent-orchestrator/core';

/** How long things may take, in milliseconds. */
export interface CheckLimits {
  /** A service that nobody answers for may just be starting. */
  readonly reachMs: number;
  readonly answerMs: number;
  /** Between the 202, or a notification, and the next notification. */
  readonly silenceMs: number;
  /** For all of a job, however often it reports. */
  readonly jobMs: number;
  /** Until a service that has lost its connection is back. */
  readonly connectMs: number;
  readonly pongMs: number;
  /** Until a notification that was put off is sent again. */
  readonly againMs: number;
  /** How long the hub is away when it has cut the connection. */
  readonly downMs: number;
  /** How long to look whether something comes that should not. */
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

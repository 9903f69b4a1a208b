/** The defaults of every setting, in one place. Times are milliseconds, sizes are bytes. */
export const DEFAULTS = {
  taskTimeoutMs: 15 * 60_000,
  maxTaskTimeoutMs: 30 * 24 * 60 * 60_000,
  callTimeoutMs: 30_000,
  callSilenceMs: 60_000,
  callTries: 3,
  maxAttempts: 5,
  maxLostWorkers: 3,
  /** From so many lost workers on, a worker runs one such task at a time. */
  suspectFromLosses: 2,
  maxSteps: 1_000,
  maxSignals: 100,
  /** The outcomes of a task's steps, and the signals that it has not asked for yet, as JSON. */
  maxJournalBytes: 16 * 1024 * 1024,
  leaseMs: 30_000,
  renewMs: 10_000,
  cancelGraceMs: 30_000,
  retentionMs: 24 * 60 * 60_000,
  deadLetterRetentionMs: 14 * 24 * 60 * 60_000,
  idempotencyMs: 24 * 60 * 60_000,
  maxEvents: 10_000,
  maxEventAgeMs: 24 * 60 * 60_000,
  /** Of what was consumed: sums of days. */
  usageRetentionMs: 400 * 24 * 60 * 60_000,
  /** Of a tenant and day: models and operations. The rest is one row. */
  maxUsageRows: 500,
  /** Of an answer. */
  usageRowsAtOnce: 10_000,
  maxWaiting: 200_000,
  /** Of a tenant's payloads, results, journals, messages and session contexts as JSON, where they are kept in memory; on Redis 4 GiB. */
  maxStoredBytes: 256 * 1024 * 1024,
  /** The same of all tenants together, where they are kept in memory. */
  maxStoredBytesInAll: 1024 * 1024 * 1024,
  /** Of a tenant's event log, where it is kept in memory; on Redis 256 MiB. */
  maxEventBytes: 64 * 1024 * 1024,
  sessionMessages: 200,
  sessionIdleMs: 24 * 60 * 60_000,
  maxBatchItems: 1_000,
  sweepMs: 500,
  pollMs: 1_000,
  parkAfterMs: 1_000,
  heldFrameMs: 60_000,
  maxHeldFrames: 1_000,
  /** Of a tenant and service, as JSON. */
  maxHeldBytes: 16 * 1024 * 1024,
  /** Of one job: they are applied in the step that names it. */
  maxHeldFramesOfJob: 64,
  /** The same as JSON. One frame may be larger. */
  maxHeldBytesOfJob: 1024 * 1024,
  // A step of a storage does no more at once than this; what is left is for the next step.
  /** Tasks of a session or a batch that are cancelled. */
  cancelledAtOnce: 50,
  /** Of a sweep. */
  timersAtOnce: 50,
  /** Steps of a journal: whose calls end with their task, that a retry drops, or that a redrive copies. */
  callsAtOnce: 100,
  /** Tasks or sessions that a page looks at, however few of them are asked for. */
  scannedAtOnce: 1_000,
  /** Live tasks that are shown with their session. */
  sessionTasks: 500,
  /** Of a page of anything, as JSON. One item may be larger. */
  pageBytes: 1024 * 1024,
  /** How long a type that no worker announces is still taken on. */
  unknownWorkflowAfterMs: 10 * 60_000,
} as const;

/** Default of every setting. Times are in ms, sizes in bytes. */
export const DEFAULTS = {
  taskTimeoutMs: 15 * 60_000,
  maxTaskTimeoutMs: 30 * 24 * 60 * 60_000,
  callTimeoutMs: 30_000,
  callSilenceMs: 60_000,
  callTries: 3,
  maxAttempts: 5,
  maxLostWorkers: 3,
  /** Number of lost workers from which on a worker runs at most one such task at a time. */
  suspectFromLosses: 2,
  maxSteps: 1_000,
  maxSignals: 100,
  /** Per task: outcomes of its steps and unconsumed signals, as JSON. */
  maxJournalBytes: 16 * 1024 * 1024,
  leaseMs: 30_000,
  renewMs: 10_000,
  cancelGraceMs: 30_000,
  retentionMs: 24 * 60 * 60_000,
  /** Longest retention that a tenant may have of its own. */
  maxRetentionMs: 400 * 24 * 60 * 60_000,
  deadLetterRetentionMs: 14 * 24 * 60 * 60_000,
  idempotencyMs: 24 * 60 * 60_000,
  maxEvents: 10_000,
  maxEventAgeMs: 24 * 60 * 60_000,
  /** Retention of the daily usage sums. */
  usageRetentionMs: 400 * 24 * 60 * 60_000,
  /** Per tenant and day: (model, operation) rows. Further ones share one row. */
  maxUsageRows: 500,
  /** Retention of usage by session, task, agent and user. */
  usageDetailRetentionMs: 35 * 24 * 60 * 60_000,
  /** Per tenant and day: rows of usage by session, task, agent and user. Beyond it these are not told apart. */
  maxUsageDetails: 2_000,
  /** Per response. */
  usageRowsAtOnce: 10_000,
  maxWaiting: 200_000,
  /** Per tenant in memory: payloads, results, journals, messages and session contexts, as JSON. On Redis 4 GiB. */
  maxStoredBytes: 256 * 1024 * 1024,
  /** In memory: the same for all tenants together. */
  maxStoredBytesInAll: 1024 * 1024 * 1024,
  /** Per tenant in memory: event log. On Redis 256 MiB. */
  maxEventBytes: 64 * 1024 * 1024,
  /** Per tenant: cached values. The oldest are removed beyond it. */
  maxCacheBytes: 16 * 1024 * 1024,
  /** In memory: the same for all tenants together. */
  maxCacheBytesInAll: 256 * 1024 * 1024,
  cacheTtlMs: 24 * 60 * 60_000,
  /** Lease of the computation of a cached value; renewed while it lasts. */
  cacheLeaseMs: 10_000,
  /** Longest wait of a call for the rates of its tenant; beyond it, it fails. */
  maxRateWaitMs: 10 * 60_000,
  sessionMessages: 200,
  /** Messages of its session that come with the claim of a task that reads them first. */
  claimedMessages: 50,
  /** Of all tasks of a claim together (on a Cluster: of those of one tenant). */
  claimedMessageBytes: 128 * 1024,
  sessionIdleMs: 24 * 60 * 60_000,
  maxBatchItems: 1_000,
  sweepMs: 500,
  pollMs: 1_000,
  parkAfterMs: 1_000,
  heldFrameMs: 60_000,
  maxHeldFrames: 1_000,
  /** Per tenant and service, as JSON. */
  maxHeldBytes: 16 * 1024 * 1024,
  /** Per job: all are applied in the step that names the job. */
  maxHeldFramesOfJob: 64,
  /** Per job, as JSON. A single frame may be larger. */
  maxHeldBytesOfJob: 1024 * 1024,
  // Limits per atomic storage step; the remainder is left to further steps.
  /** Tasks of a session or batch cancelled per step. */
  cancelledAtOnce: 50,
  /** Timers fired per step of a sweep. */
  timersAtOnce: 50,
  /** Journal steps per storage step: calls ended with their task, dropped by a retry, copied by a redrive. */
  callsAtOnce: 100,
  /** Cached values looked at by an invalidation, or removed to make room for another. */
  cachedAtOnce: 100,
  /** Tasks or sessions scanned per page, whatever its `limit`. */
  scannedAtOnce: 1_000,
  /** Live tasks returned with their session. */
  sessionTasks: 500,
  /** Per page, as JSON. A single item may be larger. */
  pageBytes: 1024 * 1024,
  /** Time after the last announcement of a type until its tasks are rejected. */
  unknownWorkflowAfterMs: 10 * 60_000,
} as const;

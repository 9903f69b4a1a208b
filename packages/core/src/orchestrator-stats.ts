import type { CacheKindStats } from './cache/cache-stats.js';
import type { AckOutcome } from './protocol/service-socket.js';
import type { SweeperStats, WorkerStats } from './worker/worker-stats.js';

/** Statistics of one process, for metrics. Without tenant names and payloads. */
export interface OrchestratorStats {
  /** Absent with the role `api`. */
  readonly worker?: WorkerStats;
  readonly sweeper: SweeperStats;
  /** Connection breakers, shared by all tenants, by service; services never called are absent. */
  readonly breakers: Readonly<Record<string, 'closed' | 'open' | 'half_open'>>;
  /** Number of tenants whose own breaker is not closed, by service; services without any are absent. */
  readonly openTenantBreakers: Readonly<Record<string, number>>;
  /** Received notifications, by outcome. */
  readonly notifications: Readonly<Record<AckOutcome, number>>;
  /** Cached values by kind, of calls by `service.operation`; beyond 100 kinds under `other`. */
  readonly cache: Readonly<Record<string, CacheKindStats>>;
  /** Tasks stored by requests to this process, without repeats and redriven ones. */
  readonly tasksSubmitted: number;
}

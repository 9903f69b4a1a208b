import type { TaskStatus } from '../protocol/task.js';

/** What an operator sets for a tenant. */
export interface TenantSettings {
  /** Its share of claims beside other tenants, 1 to 100. Default 1. */
  readonly weight: number;
  /** How many of its tasks may be leased at once; absent: unlimited. */
  readonly maxRunning?: number;
  /** Paused: its tasks are taken on, but not claimed. What runs goes on. */
  readonly paused: boolean;
}

/** A tenant as an operator sees it. */
export interface TenantStats {
  readonly tenantId: string;
  readonly settings: TenantSettings;
  readonly counts: Readonly<Record<TaskStatus, number>>;
  /** Tasks that could be claimed if a worker asked, were the tenant not paused or at its limit: ready or woken. */
  readonly ready: number;
  /** Tasks in the hands of workers. */
  readonly running: number;
  /** When the one of the ready ones that was created first was created, in milliseconds since 1970. */
  readonly oldestReadyAt?: number;
}

/** What operators ask of the storage about tenants. */
export interface TenantStore {
  /** A tenant that nobody has heard of has defaults and zeros, and is not stored. */
  get(params: { readonly tenantId: string }): Promise<TenantStats>;
  /** Changes what is given; `maxRunning: null` lifts the limit. Takes effect with the next claim. */
  configure(params: {
    readonly tenantId: string;
    readonly weight?: number;
    readonly maxRunning?: number | null;
    readonly paused?: boolean;
  }): Promise<TenantStats>;
  /** Tenants that have been heard of, by id. `after` is the `next` of the page before. */
  list(params: {
    readonly limit: number;
    readonly after?: string;
  }): Promise<{ readonly tenants: readonly TenantStats[]; readonly next?: string }>;
}

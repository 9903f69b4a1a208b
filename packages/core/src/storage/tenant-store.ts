import type { TaskStatus } from '../protocol/task.js';

/** A tenant's settings. */
export interface TenantSettings {
  /** Weight in fair queueing of claims, 1 to 100. Default 1. */
  readonly weight: number;
  /** Maximum of leased tasks; absent: unlimited. */
  readonly maxRunning?: number;
  /** Accept this tenant's tasks, but do not claim them; running tasks finish. */
  readonly paused: boolean;
  /** Maximum of waiting tasks, instead of that of the processes. */
  readonly maxWaiting?: number;
  /** Maximum of stored bytes, instead of that of the storage. */
  readonly maxStoredBytes?: number;
  /** Retention of completed and cancelled tasks, ms, instead of that of the storage. */
  readonly retentionMs?: number;
  /** Types of tasks that are accepted; absent: all. */
  readonly types?: readonly string[];
  /** Services that its tasks may call; absent: all. */
  readonly services?: readonly string[];
  /** Limits of its usage; all of them hold. */
  readonly budgets?: readonly TenantBudget[];
  /** Rates, instead of those of the servers; absent: none of its own. */
  readonly rates?: TenantRates;
}

/** Limit of usage in a period: a day or a month, UTC. */
export interface TenantBudget {
  readonly period: 'day' | 'month';
  readonly tokens?: number;
  /** In the unit of the host's price table. */
  readonly cost?: number;
}

/** Rates of a tenant. */
export interface TenantRates {
  readonly requestsPerMinute?: number;
  /** Default: what `requestsPerMinute` allows in ten seconds. */
  readonly burst?: number;
  /** Calls of services by the name of the service. */
  readonly callsPerMinute?: Readonly<Record<string, number>>;
  /** Tokens by the name of the model. */
  readonly tokensPerMinute?: Readonly<Record<string, number>>;
}

/** Settings and current load of a tenant. */
export interface TenantStats {
  readonly tenantId: string;
  readonly settings: TenantSettings;
  readonly counts: Readonly<Record<TaskStatus, number>>;
  /** Claimable tasks (ready or woken), regardless of `paused` and `maxRunning`. */
  readonly ready: number;
  /** Leased tasks. */
  readonly running: number;
  /** Creation time of the oldest ready task, epoch ms. */
  readonly oldestReadyAt?: number;
}

/** Params of `TenantStore.get`. */
export interface GetTenantParams {
  readonly tenantId: string;
}

/** Params of `TenantStore.configure`. */
export interface ConfigureTenantParams {
  readonly tenantId: string;
  readonly weight?: number;
  readonly maxRunning?: number | null;
  readonly paused?: boolean;
  readonly maxWaiting?: number | null;
  readonly maxStoredBytes?: number | null;
  readonly retentionMs?: number | null;
  readonly types?: readonly string[] | null;
  readonly services?: readonly string[] | null;
  readonly budgets?: readonly TenantBudget[] | null;
  /** `null`, of all or of one: none of its own. A map replaces that of before. */
  readonly rates?: { readonly [K in keyof TenantRates]: TenantRates[K] | null } | null;
}

/** Params of `TenantStore.list`. */
export interface ListTenantsParams {
  readonly limit: number;
  readonly after?: string;
}

/** Answer of `TenantStore.list`. */
export type ListTenantsResult = { readonly tenants: readonly TenantStats[]; readonly next?: string };

/** Storage port for tenant settings. */
export interface TenantStore {
  /** An unknown tenant has defaults and zeros; reading does not create it. */
  get(params: GetTenantParams): Promise<TenantStats>;
  /** Changes the given settings; `null` removes a limit. Takes effect with the next claim and lease. */
  configure(params: ConfigureTenantParams): Promise<TenantStats>;
  /** Known tenants, by id. `after`: the `next` of the previous page. */
  list(params: ListTenantsParams): Promise<ListTenantsResult>;
}

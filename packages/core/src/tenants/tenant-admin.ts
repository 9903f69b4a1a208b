import { z } from 'zod';
import { tenantPatchSchema } from '../protocol/admin.js';
import { idSchema } from '../protocol/ids.js';
import { PAGE_SIZES, type PageOptions } from '../protocol/pages.js';
import { validate } from '../protocol/validation.js';
import type { Storage } from '../storage/storage.js';
import type { TenantBudget, TenantRates, TenantStats } from '../storage/tenant-store.js';

const onWire = tenantPatchSchema.shape;
const ratesOnWire = onWire.rates.unwrap().unwrap().shape;
const ratesSchema = z.object({
  requestsPerMinute: ratesOnWire.requests_per_minute,
  burst: ratesOnWire.burst,
  callsPerMinute: ratesOnWire.calls_per_minute,
  tokensPerMinute: ratesOnWire.tokens_per_minute,
});
const changeSchema = z.object({
  weight: onWire.weight.unwrap().unwrap().optional(),
  maxRunning: onWire.max_running,
  paused: onWire.paused.unwrap().unwrap().optional(),
  maxWaiting: onWire.max_waiting,
  maxStoredBytes: onWire.max_stored_bytes,
  retentionMs: onWire.retention_ms,
  types: onWire.types,
  services: onWire.services,
  budgets: onWire.budgets,
  rates: ratesSchema.nullable().optional(),
});
const pageSchema = z.object({
  limit: z.int().min(1).max(PAGE_SIZES.tenants.max).default(PAGE_SIZES.tenants.default),
  cursor: z.string().min(1).optional(),
});

/** Changes of a tenant's settings; absent fields stay unchanged, `null` is the default again. */
export interface TenantChange {
  /** Weight in fair queueing of claims: 1 to 100. */
  readonly weight?: number;
  /** Maximum of running tasks, 1 to 1,000,000; `null`: unlimited. */
  readonly maxRunning?: number | null;
  /** Stop claiming this tenant's tasks. */
  readonly paused?: boolean;
  /** Maximum of waiting tasks; beyond it, submissions fail with `queue_full`. Default: that of the processes. */
  readonly maxWaiting?: number | null;
  /** Maximum of stored bytes; beyond it, submissions fail with `queue_full`. Default: that of the storage. */
  readonly maxStoredBytes?: number | null;
  /** Retention of completed and cancelled tasks, ms, at most 400 days. Default: that of the storage, 24 h. */
  readonly retentionMs?: number | null;
  /** Task types that it may submit, at most 100. Default: all. */
  readonly types?: readonly string[] | null;
  /** Services that its tasks may call, at most 100. Default: all. */
  readonly services?: readonly string[] | null;
  /** Limits of its usage, at most 4; all of them hold. */
  readonly budgets?: readonly TenantBudget[] | null;
  /** Rates of requests, where servers limit them, and of calls and tokens, everywhere. `null`, of all or of one: the default. A map replaces that of before. */
  readonly rates?: { readonly [K in keyof TenantRates]: TenantRates[K] | null } | null;
}

/**
 * Tenant administration: statistics, weight, limit, pause and resume. Applies to all processes of the storage, from the next
 * claim on. For operators only: do not expose it to tenants.
 */
export class TenantAdmin {
  constructor(private readonly ports: { readonly storage: Storage }) {}

  /** An unknown tenant has defaults and zeros. */
  async get(tenantId: string): Promise<TenantStats> {
    return this.ports.storage.tenants.get({ tenantId: tenantIdOf(tenantId) });
  }

  /** Known tenants by id. `limit`: 1 to 1,000, default 100. `cursor`: the `next` of the previous page. */
  async list(page: PageOptions = {}): Promise<{
    readonly tenants: readonly TenantStats[];
    readonly next?: string;
  }> {
    const { limit, cursor: after } = validate(pageSchema, page, 'the page');
    return this.ports.storage.tenants.list({ limit, ...(after !== undefined && { after }) });
  }

  /** @throws {OrchestratorError} `invalid_request` for an invalid setting. */
  async configure(tenantId: string, change: TenantChange): Promise<TenantStats> {
    const { rates, ...settings } = validate(changeSchema, change, 'the settings');
    return this.ports.storage.tenants.configure({
      tenantId: tenantIdOf(tenantId),
      ...given(settings),
      ...(rates !== undefined && { rates: rates && given(rates) }),
    });
  }

  /** Stops claiming this tenant's tasks; submissions are accepted, and running tasks finish. */
  pause(tenantId: string): Promise<TenantStats> {
    return this.configure(tenantId, { paused: true });
  }

  resume(tenantId: string): Promise<TenantStats> {
    return this.configure(tenantId, { paused: false });
  }
}

function tenantIdOf(tenantId: string): string {
  return validate(idSchema, tenantId, 'tenant_id');
}

/** Without absent fields. */
function given(settings: object): object {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));
}

import { z } from 'zod';
import { MAX_RATE, MAX_RUNNING, MAX_WEIGHT } from '../protocol/admin.js';
import { idSchema } from '../protocol/ids.js';
import { PAGE_SIZES, type PageOptions } from '../protocol/pages.js';
import { validate } from '../protocol/validation.js';
import type { Storage } from '../storage/storage.js';
import type { TenantStats } from '../storage/tenant-store.js';

const rateSchema = z.int().min(1).max(MAX_RATE).nullable().optional();
const ratesSchema = z.object({ requestsPerMinute: rateSchema, burst: rateSchema });
const changeSchema = z.object({
  weight: z.int().min(1).max(MAX_WEIGHT).optional(),
  maxRunning: z.int().min(1).max(MAX_RUNNING).nullable().optional(),
  paused: z.boolean().optional(),
  rates: ratesSchema.nullable().optional(),
});
const pageSchema = z.object({
  limit: z.int().min(1).max(PAGE_SIZES.tenants.max).default(PAGE_SIZES.tenants.default),
  cursor: z.string().min(1).optional(),
});

/** Changes of a tenant's settings; absent fields stay unchanged. */
export interface TenantChange {
  /** Weight in fair queueing of claims: 1 to 100. */
  readonly weight?: number;
  /** Maximum of running tasks, 1 to 1,000,000; `null`: unlimited. */
  readonly maxRunning?: number | null;
  /** Stop claiming this tenant's tasks. */
  readonly paused?: boolean;
  /** Rate of its requests, where servers limit them; `null`, of all or of one: that of the servers. */
  readonly rates?: {
    readonly requestsPerMinute?: number | null;
    /** Default with `requestsPerMinute`: what that allows in ten seconds. */
    readonly burst?: number | null;
  } | null;
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
    const { weight, maxRunning, paused, rates } = validate(changeSchema, change, 'the settings');
    return this.ports.storage.tenants.configure({
      tenantId: tenantIdOf(tenantId),
      ...(weight !== undefined && { weight }),
      ...(maxRunning !== undefined && { maxRunning }),
      ...(paused !== undefined && { paused }),
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

function given({ requestsPerMinute, burst }: z.output<typeof ratesSchema>) {
  return {
    ...(requestsPerMinute !== undefined && { requestsPerMinute }),
    ...(burst !== undefined && { burst }),
  };
}

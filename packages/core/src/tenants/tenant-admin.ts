import { z } from 'zod';
import { idSchema } from '../protocol/ids.js';
import { validate } from '../protocol/validation.js';
import type { Storage } from '../storage/storage.js';
import type { TenantStats } from '../storage/tenant-store.js';

const MAX_WEIGHT = 100;
const MAX_RUNNING = 1_000_000;
const MAX_PAGE = 1_000;
const DEFAULT_PAGE = 100;

const changeSchema = z.object({
  weight: z.int().min(1).max(MAX_WEIGHT).optional(),
  maxRunning: z.int().min(1).max(MAX_RUNNING).nullable().optional(),
  paused: z.boolean().optional(),
});
const pageSchema = z.object({
  limit: z.int().min(1).max(MAX_PAGE).default(DEFAULT_PAGE),
  after: z.string().min(1).optional(),
});

/** What an operator may set; what is left out stays as it is. */
export interface TenantChange {
  /** Share of claims beside other tenants: a whole number from 1 to 100. */
  readonly weight?: number;
  /** How many of its tasks may run at once, from 1 on; `null`: as many as there are slots. */
  readonly maxRunning?: number | null;
  readonly paused?: boolean;
}

/**
 * What operators do with tenants: look how they stand, weigh, limit, pause and resume them. It holds for every process
 * on the storage, from the next claim on. It is not for the tenants themselves.
 */
export class TenantAdmin {
  constructor(private readonly ports: { readonly storage: Storage }) {}

  /** A tenant that nobody has heard of has defaults and zeros. */
  async get(tenantId: string): Promise<TenantStats> {
    return this.ports.storage.tenants.get({ tenantId: tenantIdOf(tenantId) });
  }

  /** By id, at most `limit` (100, at most 1,000) after `after`, which is the `next` of the page before. */
  async list(page: { readonly limit?: number; readonly after?: string } = {}): Promise<{
    readonly tenants: readonly TenantStats[];
    readonly next?: string;
  }> {
    const { limit, after } = validate(pageSchema, page, 'the page');
    return this.ports.storage.tenants.list({ limit, ...(after !== undefined && { after }) });
  }

  /** @throws {OrchestratorError} `invalid_request` for a value that can't be meant. */
  async configure(tenantId: string, change: TenantChange): Promise<TenantStats> {
    const { weight, maxRunning, paused } = validate(changeSchema, change, 'the settings');
    return this.ports.storage.tenants.configure({
      tenantId: tenantIdOf(tenantId),
      ...(weight !== undefined && { weight }),
      ...(maxRunning !== undefined && { maxRunning }),
      ...(paused !== undefined && { paused }),
    });
  }

  /** Its tasks are still taken on, but not claimed; what runs goes on. */
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

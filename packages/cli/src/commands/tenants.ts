import { OrchestratorError } from '@agent-orchestrator/core';
import type { TenantPatch } from '@agent-orchestrator/core/protocol';
import type { OperatorPort } from '../operators/operator-port.js';
import { printSettings, printTenant, TENANT_COLUMNS, tenantRow } from '../print/tenant-report.js';
import type { SettingFlags } from '../settings/settings.js';
import type { CommandContext } from './command-context.js';
import { confirmed } from './confirm.js';
import { openAccess, validTenant } from './operator-context.js';
import { type ListFlags, listTenants } from './tenant-list.js';
import { changeOf, type LimitFlags } from './tenant-limits.js';

export interface ConfigureFlags extends SettingFlags {
  readonly create?: boolean;
}

export interface SetFlags extends ConfigureFlags, LimitFlags {}

export function list(context: CommandContext, flags: ListFlags): Promise<void> {
  return listTenants(context, flags, { head: TENANT_COLUMNS, row: tenantRow });
}

/** One tenant with all its settings. */
export async function show(context: CommandContext, tenant: string, flags: SettingFlags): Promise<void> {
  await using access = await openAccess(context, flags);
  printSettings(context.terminal, await access.admin.tenant(validTenant(tenant)));
}

/** Stops claims of the tenant's tasks. */
export function pause(context: CommandContext, tenant: string, flags: ConfigureFlags): Promise<void> {
  return configure(context, tenant, flags, { paused: true });
}

export function resume(context: CommandContext, tenant: string, flags: ConfigureFlags): Promise<void> {
  return configure(context, tenant, flags, { paused: false });
}

export async function set(context: CommandContext, tenant: string, flags: SetFlags): Promise<void> {
  await configure(context, tenant, flags, changeOf(flags));
}

async function configure(
  context: CommandContext,
  tenant: string,
  flags: ConfigureFlags,
  patch: TenantPatch,
): Promise<void> {
  const tenantId = validTenant(tenant);
  await using access = await openAccess(context, flags);
  const { admin } = access;
  if (!flags.create && !(await isKnown(admin, tenantId))) await confirmNew(context, tenantId);
  printTenant(context.terminal, await admin.configure(tenantId, patch));
}

/** Whether the tenant exists: it is in the list at the position of its id. */
async function isKnown(admin: OperatorPort, tenantId: string): Promise<boolean> {
  let cursor: string | undefined;
  do {
    const page = await admin.tenants({ limit: 1_000, cursor });
    if (page.items.some((known) => known.tenant_id === tenantId)) return true;
    cursor = page.next;
  } while (cursor !== undefined);
  return false;
}

/** A mistyped name would create a tenant. @throws {OrchestratorError} `not_found` unless confirmed. */
async function confirmNew(context: CommandContext, tenantId: string): Promise<void> {
  const unknown = `there is no tenant "${tenantId}"`;
  if (await confirmed(context, `${unknown}: set it all the same?`)) return;
  throw new OrchestratorError('not_found', `${unknown}: check its name, or say --create`);
}

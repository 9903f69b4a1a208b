import type { TenantReport } from '@agent-orchestrator/core/server';
import type { SettingFlags } from '../settings/settings.js';
import type { CommandContext } from './command-context.js';
import { pageSize } from './flag-numbers.js';
import { watched, type WatchFlags } from './watch.js';
import { openAccess } from './operator-context.js';
import { type PageFlags, printList } from './print-list.js';

export interface ListFlags extends SettingFlags, PageFlags, WatchFlags {}

/** Columns of a list of tenants. */
export interface TenantColumns {
  readonly head: readonly string[];
  readonly row: (tenant: TenantReport) => string[];
}

/** Prints a page of all tenants, with `--watch` again and again. */
export function listTenants(
  context: CommandContext,
  flags: ListFlags,
  columns: TenantColumns,
): Promise<void> {
  return watched(context, flags, (each) => listOnce(each, flags, columns));
}

async function listOnce(
  context: CommandContext,
  flags: ListFlags,
  { head, row }: TenantColumns,
): Promise<void> {
  const usual = String(pageSize(flags.limit, 100));
  await using access = await openAccess(context, flags);
  await printList<TenantReport>(
    context,
    { ...flags, usual },
    (count, cursor) => access.admin.tenants({ limit: Number(count), cursor }),
    { none: 'no tenants', head, row },
  );
}

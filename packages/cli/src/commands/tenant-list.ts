import type { TenantReport } from '@agent-orchestrator/core/server';
import { wholePage } from '../client/whole-page.js';
import { printPage } from '../print/page.js';
import type { SettingFlags } from '../settings/settings.js';
import type { CommandContext } from './command-context.js';
import { pageSize } from './flag-numbers.js';
import { openAccess } from './operator-context.js';

export interface ListFlags extends SettingFlags {
  readonly limit?: string;
  readonly cursor?: string;
}

/** Columns of a list of tenants. */
export interface TenantColumns {
  readonly head: readonly string[];
  readonly row: (tenant: TenantReport) => string[];
}

/** Prints a page of all tenants. */
export async function listTenants(
  context: CommandContext,
  flags: ListFlags,
  { head, row }: TenantColumns,
): Promise<void> {
  const limit = pageSize(flags.limit, 100);
  const { cursor } = flags;
  await using access = await openAccess(context, flags);
  const page = await wholePage(
    (count, from) => access.admin.tenants({ limit: Number(count), cursor: from }),
    { limit: String(limit), cursor, signal: context.signal },
  );
  printPage<TenantReport>(context.terminal, {
    none: 'no tenants',
    head,
    items: page.items,
    row,
    next: page.next,
  });
}

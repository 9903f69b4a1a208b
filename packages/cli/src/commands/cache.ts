import { cacheInvalidationSchema, validate } from '@agent-orchestrator/core/protocol';
import type { CommandContext } from './command-context.js';
import { openAccess, type OperatorFlags, tenantOf } from './operator-context.js';

export interface InvalidateFlags extends OperatorFlags {
  readonly collection?: string;
}

/** Removes cached values of a tenant. */
export async function invalidate(context: CommandContext, flags: InvalidateFlags): Promise<void> {
  const { collection } = flags;
  const about = validate(cacheInvalidationSchema, { collection }, '--collection');
  await using access = await openAccess(context, flags);
  const tenantId = tenantOf(flags.tenant, access.tenant);
  const report = await access.admin.invalidateCache(tenantId, about);
  const { terminal } = context;
  if (terminal.json) terminal.record({ tenant_id: tenantId, ...report });
  else terminal.data(`${report.removed} cached values removed`);
}

import { createInterface } from 'node:readline/promises';
import { OrchestratorError, type TenantStats } from '@agent-orchestrator/core';
import { type TenantStore, type ConfigureTenantParams } from '@agent-orchestrator/core/storage';
import { UsageError } from '../errors/errors.js';
import { printPage } from '../print/page.js';
import { printTenantStats, tenantStatsRecord, TENANT_COLUMNS, tenantRow } from '../print/tenant-stats.js';
import type { SettingFlags } from '../settings/settings.js';
import type { CommandContext } from './command-context.js';
import { pageSize, wholeNumber } from './flag-numbers.js';
import { validTenant, withOperatorStorage } from './operator-context.js';
import { MAX_WEIGHT } from './tenant-limits.js';

export interface ListFlags extends SettingFlags {
  readonly limit?: string;
  readonly cursor?: string;
}

export interface ConfigureFlags extends SettingFlags {
  readonly create?: boolean;
}

export interface SetFlags extends ConfigureFlags {
  readonly weight?: string;
  readonly maxRunning?: string;
}

type Change = Omit<ConfigureTenantParams, 'tenantId'>;

const MOST_RUNNING = 1_000_000;

export async function list(context: CommandContext, flags: ListFlags): Promise<void> {
  const limit = pageSize(flags.limit, 100);
  const { cursor: after } = flags;
  await withOperatorStorage(context, flags, async (storage) => {
    const page = await storage.tenants.list({ limit, ...(after !== undefined && { after }) });
    printPage<TenantStats>(context.terminal, {
      none: 'no tenants',
      head: TENANT_COLUMNS,
      items: page.tenants,
      row: tenantRow,
      record: tenantStatsRecord,
      next: page.next,
    });
  });
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

function configure(
  context: CommandContext,
  tenant: string,
  flags: ConfigureFlags,
  change: Change,
): Promise<void> {
  const tenantId = validTenant(tenant);
  return withOperatorStorage(context, flags, async (storage) => {
    if (!flags.create && !(await isKnown(storage.tenants, tenantId))) await confirmNew(context, tenantId);
    printTenantStats(context.terminal, await storage.tenants.configure({ tenantId, ...change }));
  });
}

/** Whether the tenant exists: it is in the list at the position of its id. */
async function isKnown(tenants: TenantStore, tenantId: string): Promise<boolean> {
  let after: string | undefined;
  do {
    const page = await tenants.list({ limit: 1_000, ...(after !== undefined && { after }) });
    if (page.tenants.some((known) => known.tenantId === tenantId)) return true;
    after = page.next;
  } while (after !== undefined);
  return false;
}

/** A mistyped name would create a tenant. @throws {OrchestratorError} `not_found` unless confirmed. */
async function confirmNew({ terminal, signal }: CommandContext, tenantId: string): Promise<void> {
  const unknown = `there is no tenant "${tenantId}"`;
  if (terminal.isTyped && !terminal.json) {
    const prompt = createInterface({ input: terminal.stdin, output: terminal.stderr });
    const answer = await prompt
      .question(`${unknown}: set it all the same? [y/N] `, { signal })
      .finally(() => prompt.close());
    if (/^y(?:es)?$/i.test(answer.trim())) return;
  }
  throw new OrchestratorError('not_found', `${unknown}: check its name, or say --create`);
}

/** @throws {UsageError} */
function changeOf({ weight, maxRunning }: SetFlags): Change {
  if (weight === undefined && maxRunning === undefined) {
    throw new UsageError('expected --weight or --max-running, got neither');
  }
  return {
    ...(weight !== undefined && { weight: wholeNumber('--weight', weight, 1, MAX_WEIGHT) }),
    ...(maxRunning !== undefined && { maxRunning: limitOf(maxRunning) }),
  };
}

function limitOf(text: string): number | null {
  return text === 'none' ? null : wholeNumber('--max-running', text, 1, MOST_RUNNING);
}

import { createInterface } from 'node:readline/promises';
import { OrchestratorError, type TenantStats } from '@agent-orchestrator/core';
import { type TenantStore, type ConfigureTenantParams } from '@agent-orchestrator/core/storage';
import type { Command } from 'commander';
import { UsageError } from '../exit-code.js';
import { printPage } from '../print/page.js';
import { printTenantStats, tenantStatsRecord, TENANT_COLUMNS, tenantRow } from '../print/tenant-stats.js';
import type { SettingFlags } from '../settings/settings.js';
import type { CommandContext } from './command-context.js';
import { pageSize, wholeNumber } from './flag-numbers.js';
import { validTenant, withOperatorStorage, withRedisFlag } from './operator-context.js';

interface ListFlags extends SettingFlags {
  readonly limit?: string;
  readonly cursor?: string;
}

interface ConfigureFlags extends SettingFlags {
  readonly create?: boolean;
}

interface SetFlags extends ConfigureFlags {
  readonly weight?: string;
  readonly maxRunning?: string;
}

type Change = Omit<ConfigureTenantParams, 'tenantId'>;

const CREATE = 'create an unknown tenant (default: ask on a terminal, otherwise refuse)';
const MAX_WEIGHT = 100;
const MOST_RUNNING = 1_000_000;

export function addTenantCommands(program: Command, context: CommandContext): void {
  const tenants = program.command('tenants').description('list and configure tenants, directly in Redis');
  withRedisFlag(tenants.command('list'))
    .description('all tenants with their settings and task counts')
    .option('-n, --limit <count>', 'maximum number (default: 100)')
    .option('--cursor <cursor>', 'next page, as printed by the previous one')
    .action((flags: ListFlags) => list(context, flags));
  withRedisFlag(tenants.command('pause'))
    .description("stop claiming this tenant's tasks; running tasks finish")
    .argument('<tenant>')
    .option('--create', CREATE)
    .action((tenant: string, flags: ConfigureFlags) => configure(context, tenant, flags, { paused: true }));
  withRedisFlag(tenants.command('resume'))
    .description("claim this tenant's tasks again")
    .argument('<tenant>')
    .option('--create', CREATE)
    .action((tenant: string, flags: ConfigureFlags) => configure(context, tenant, flags, { paused: false }));
  withRedisFlag(tenants.command('set'))
    .description('set the weight and the concurrency limit of a tenant')
    .argument('<tenant>')
    .option('--create', CREATE)
    .option('--weight <n>', `weight in fair queueing, 1 to ${MAX_WEIGHT}`)
    .option('--max-running <n>', 'maximum of concurrent tasks, or "none"')
    .action((tenant: string, flags: SetFlags) => configure(context, tenant, flags, changeOf(flags)));
}

async function list(context: CommandContext, flags: ListFlags): Promise<void> {
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

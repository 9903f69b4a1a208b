import { type UsageDimension, type UsageSum } from '@agent-orchestrator/core';
import { USAGE_DIMENSIONS } from '@agent-orchestrator/core/protocol';
import { UsageError } from '../errors/errors.js';
import { table } from '../print/table.js';
import { type CommandContext, connectionOf, namesStorage } from './command-context.js';
import { openAccess, type OperatorFlags, tenantOf } from './operator-context.js';

export interface UsageFlags extends OperatorFlags {
  readonly from?: string;
  readonly to?: string;
  readonly by?: string;
}

const BY_DEFAULT = 'day,model,operation';
const AMOUNTS = [
  'tokens',
  'prompt_tokens',
  'completion_tokens',
  'cached_tokens',
  'saved_tokens',
  'requests',
  'cost',
] as const;

/** What a tenant has used: with its API key, or with `--tenant` as an operator. */
export async function usage(context: CommandContext, flags: UsageFlags): Promise<void> {
  const by = dimensionsOf(flags.by ?? BY_DEFAULT);
  const rows = await rowsOf(context, flags, by);
  const { terminal } = context;
  if (terminal.json) {
    for (const row of rows) terminal.record(row);
    return;
  }
  if (rows.length === 0) {
    terminal.data('nothing was used in this time');
    return;
  }
  const amounts = AMOUNTS.filter((amount) => rows.some((row) => (row[amount] ?? 0) > 0));
  const head = [...by, ...amounts.map((amount) => amount.replace('_', ' '))];
  const cells = sorted(rows, by).map((row) => [
    ...by.map((dimension) => row[dimension] || '-'),
    ...amounts.map((amount) => shown(row[amount] ?? 0)),
  ]);
  for (const line of table(head, cells, terminal)) terminal.data(line);
}

async function rowsOf(
  context: CommandContext,
  flags: UsageFlags,
  by: readonly UsageDimension[],
): Promise<readonly UsageSum[]> {
  const { from, to } = flags;
  if (flags.tenant === undefined && !namesStorage(flags)) {
    const { api } = await connectionOf(context, flags);
    const query = { from, to, group_by: by.join(',') };
    return (await api.get<{ readonly rows: readonly UsageSum[] }>('/v1/usage', { query })).rows;
  }
  await using access = await openAccess(context, flags);
  const tenantId = tenantOf(flags.tenant, access.tenant);
  return access.admin.usage({ tenantId, from, to, by });
}

/** @throws {UsageError} */
function dimensionsOf(text: string): readonly UsageDimension[] {
  const names = [...new Set(text.split(',').map((name) => name.trim()))];
  for (const name of names)
    if (!USAGE_DIMENSIONS.includes(name as UsageDimension))
      throw new UsageError(
        `--by: expected some of ${USAGE_DIMENSIONS.join(', ')}, separated by commas, got "${name}"`,
      );
  return names as UsageDimension[];
}

/** By name, days first to last. */
function sorted(rows: readonly UsageSum[], by: readonly UsageDimension[]): readonly UsageSum[] {
  const keyOf = (row: UsageSum) => by.map((dimension) => row[dimension] ?? '').join('\n');
  return rows.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
}

function shown(amount: number): string {
  return Number.isInteger(amount) ? String(amount) : amount.toPrecision(6).replace(/\.?0+$/, '');
}

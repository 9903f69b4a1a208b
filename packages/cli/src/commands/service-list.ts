import type { ServiceReport } from '@agent-orchestrator/core/server';
import { EXIT } from '../errors/errors.js';
import { printPage } from '../print/page.js';
import { SERVICE_COLUMNS, serviceRow } from '../print/overview-report.js';
import type { SettingFlags } from '../settings/settings.js';
import type { CommandContext } from './command-context.js';
import { openAccess } from './operator-context.js';

export async function list(context: CommandContext, flags: SettingFlags): Promise<void> {
  await using access = await openAccess(context, flags);
  printPage<ServiceReport>(context.terminal, {
    none: 'no services',
    head: SERVICE_COLUMNS,
    items: await access.admin.services({}),
    row: serviceRow,
  });
}

/** Asks the services whether they answer; ends with 1 if one does not. */
export async function ping(
  context: CommandContext,
  name: string | undefined,
  flags: SettingFlags,
): Promise<void> {
  await using access = await openAccess(context, flags);
  const services = await access.admin.services({ ping: true, name });
  printPage<ServiceReport>(context.terminal, {
    none: 'no services',
    head: ['service', 'answers', 'status', 'latency', ''],
    items: services,
    row: ({ name: own, ping: answer }) => [
      own,
      answer?.reachable === undefined ? 'unknown' : answer.reachable ? 'yes' : 'no',
      answer?.status === undefined ? '' : String(answer.status),
      answer?.latency_ms === undefined ? '' : `${answer.latency_ms} ms`,
      answer?.detail ?? '',
    ],
  });
  if (services.some(({ ping: answer }) => answer?.reachable === false)) context.exit(EXIT.taskFailed);
}

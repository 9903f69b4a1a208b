import type { Command } from 'commander';
import type { CommandContext } from '../commands/command-context.js';
import type { DiscardFlags, ListFlags as DeadLetterFlags, RedriveFlags } from '../commands/dead-letters.js';
import type { OperatorFlags } from '../commands/operator-context.js';
import type { InvalidateFlags } from '../commands/cache.js';
import type { ListFlags } from '../commands/tenant-list.js';
import type { TailFlags } from '../commands/system-tail.js';
import type { ConfigureFlags, SetFlags } from '../commands/tenants.js';
import type { UsageFlags } from '../commands/usage.js';
import type { WatchFlags } from '../commands/watch.js';
import type { SettingFlags } from '../settings/settings.js';
import {
  TASK_ID,
  withEitherFlags,
  withErrorFlags,
  withOperatorFlags,
  withPageFlags,
  withTenantFlags,
  withWatchFlag,
} from './flags.js';

/** Commands of operators, for all tenants: through a server with its operator token, or straight to a storage. */
export function addOperatingCommands(program: Command, context: CommandContext): void {
  addQueueCommands(program, context);
  addTenantCommands(program, context);
  addDeadLetterCommands(program, context);
  const workers = program.command('workers').description('show workers');
  withWatchFlag(withOperatorFlags(workers.command('list')))
    .description('live workers and the types of tasks that they run')
    .action(async (flags: OperatorFlags & WatchFlags) =>
      (await import('../commands/workers.js')).list(context, flags),
    );
  withWatchFlag(withOperatorFlags(program.command('stats')))
    .description('tasks, tenants, workers and services at a glance')
    .action(async (flags: SettingFlags & WatchFlags) =>
      (await import('../commands/stats.js')).stats(context, flags),
    );
  addCacheCommands(program, context);
  withEitherFlags(program.command('usage'))
    .description('tokens and costs of a tenant')
    .option(
      '--by <names>',
      'some of day, model, operation, session, task, agent, user (default: day,model,operation)',
    )
    .option('--from <day>', 'first day, YYYY-MM-DD, UTC (default: 30 days in all)')
    .option('--to <day>', 'last day (default: today)')
    .action(async (flags: UsageFlags) => (await import('../commands/usage.js')).usage(context, flags));
  withOperatorFlags(program.command('tail'))
    .description('follow system events')
    .option(
      '--system',
      'system events: joined and lost workers, dead letters, late outcomes, tenants at their limit, failing services',
    )
    .action(async (flags: TailFlags) => (await import('../commands/system-tail.js')).tail(context, flags));
}

function addQueueCommands(program: Command, context: CommandContext): void {
  const actions = () => import('../commands/queues.js');
  const queues = program.command('queues').description('show queues');
  const list = withOperatorFlags(queues.command('list')).description(
    'all tenants with ready, running and waiting tasks',
  );
  withWatchFlag(withPageFlags(list, 100)).action(async (flags: ListFlags) =>
    (await actions()).list(context, flags),
  );
  withOperatorFlags(queues.command('inspect'))
    .description('one tenant with its next tasks')
    .argument('<tenant>')
    .option('-n, --limit <count>', 'maximum number of tasks (default: 10)')
    .action(async (tenant: string, flags: ListFlags) => (await actions()).inspect(context, tenant, flags));
}

function addTenantCommands(program: Command, context: CommandContext): void {
  const actions = () => import('../commands/tenants.js');
  const tenants = program.command('tenants').description('list and configure tenants');
  const tenantCommand = (name: string, description: string) =>
    withOperatorFlags(tenants.command(name))
      .description(description)
      .argument('<tenant>')
      .option('--create', 'create an unknown tenant (default: ask on a terminal, otherwise refuse)');
  const list = withOperatorFlags(tenants.command('list')).description(
    'all tenants with their settings and task counts',
  );
  withWatchFlag(withPageFlags(list, 100)).action(async (flags: ListFlags) =>
    (await actions()).list(context, flags),
  );
  withOperatorFlags(tenants.command('show'))
    .description('one tenant with all its settings')
    .argument('<tenant>')
    .action(async (tenant: string, flags: OperatorFlags) => (await actions()).show(context, tenant, flags));
  tenantCommand('pause', "stop claiming this tenant's tasks; running tasks finish").action(
    async (tenant: string, flags: ConfigureFlags) => (await actions()).pause(context, tenant, flags),
  );
  tenantCommand('resume', "claim this tenant's tasks again").action(
    async (tenant: string, flags: ConfigureFlags) => (await actions()).resume(context, tenant, flags),
  );
  tenantCommand('set', 'set the weight and the limits of a tenant')
    .option('--weight <n>', 'weight in fair queueing, 1 to 100')
    .option('--max-running <n>', 'maximum of concurrent tasks, or "none"')
    .option(
      '--requests-per-minute <n>',
      'requests of its own per minute, or "none" for the rate of the servers',
    )
    .option('--burst <n>', 'requests of its own at once, or "none" for the default')
    .option('--max-waiting <n>', 'maximum of waiting tasks, or "none" for that of the processes')
    .option(
      '--max-stored <bytes>',
      'maximum of stored bytes, such as 512MiB, or "none" for that of the storage',
    )
    .option(
      '--retention <time>',
      'how long ended tasks are kept, such as 12h, or "none" for that of the storage',
    )
    .option('--types <names>', 'the task types that it may submit, separated by commas, or "none" for all')
    .option('--services <names>', 'the services that its tasks may call, or "none" for all')
    .option(
      '--budget <budget>',
      'limit of its usage, such as day:tokens=100000 or month:cost=20; may be repeated, "none" for no limit',
      (text: string, before: readonly string[] | undefined) => [...(before ?? []), text],
    )
    .option('--calls-per-minute <rates>', 'calls by service, such as query=60,*=600, or "none"')
    .option('--tokens-per-minute <rates>', 'tokens by model, such as gpt-5=100000, or "none"')
    .action(async (tenant: string, flags: SetFlags) => (await actions()).set(context, tenant, flags));
}

function addCacheCommands(program: Command, context: CommandContext): void {
  const cache = program.command('cache').description('cached values');
  withTenantFlags(cache.command('invalidate'))
    .description('remove cached values of a tenant; values that are being computed are not stored')
    .option('--collection <name>', 'only those of this collection')
    .action(async (flags: InvalidateFlags) =>
      (await import('../commands/cache.js')).invalidate(context, flags),
    );
}

function addDeadLetterCommands(program: Command, context: CommandContext): void {
  const actions = () => import('../commands/dead-letters.js');
  const deadLetters = program.command('dlq').description('dead letter queue: failed tasks');
  const list = withTenantFlags(deadLetters.command('list'))
    .description('the newest failed tasks')
    .option('--type <type>', 'only of this type');
  withPageFlags(withErrorFlags(list), 20).action(async (flags: DeadLetterFlags) =>
    (await actions()).list(context, flags),
  );
  withTenantFlags(deadLetters.command('show'))
    .description('one failed task, with payload, error and calls')
    .argument('<task-id>', TASK_ID)
    .action(async (taskId: string, flags: OperatorFlags) => (await actions()).show(context, taskId, flags));
  withBulkFlags(deadLetters.command('redrive'))
    .description('run failed tasks again without their successful steps; prints the id of the new task')
    .argument('[task-id]', TASK_ID)
    .option('--payload <json>', 'with a task id: another payload, or @file; all steps run again')
    .action(async (taskId: string | undefined, flags: RedriveFlags) =>
      (await actions()).redrive(context, taskId, flags),
    );
  withBulkFlags(deadLetters.command('discard'))
    .description('remove failed tasks for good, with their journals; their events stay')
    .argument('[task-ids...]', TASK_ID)
    .option('-y, --yes', 'do not ask')
    .action(async (taskIds: string[], flags: DiscardFlags) =>
      (await actions()).discard(context, taskIds, flags),
    );
}

/** Flags of actions on all dead letters that fit. */
function withBulkFlags(command: Command): Command {
  return withErrorFlags(
    withTenantFlags(command)
      .option('--all', 'all dead letters of the tenant')
      .option('--type <type>', 'with --all: only of this type'),
  ).option('--dry-run', 'with --all: only count them');
}

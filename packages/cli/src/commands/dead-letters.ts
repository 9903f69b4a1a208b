import { OrchestratorError, type Task } from '@agent-orchestrator/core';
import { cutText } from '@agent-orchestrator/core/protocol';
import { jsonOfFlag } from '../documents/json-file.js';
import { UsageError } from '../errors/errors.js';
import { localTime } from '../print/local-time.js';
import { printTask } from '../print/task-report.js';
import { printable } from '../terminal/terminal.js';
import { type BulkFlags, filterOf, onAll } from './bulk.js';
import type { CommandContext } from './command-context.js';
import { confirmed } from './confirm.js';
import { pageSize } from './flag-numbers.js';
import { namedTask, openAccess, type OperatorFlags, tenantOf } from './operator-context.js';
import { type PageFlags, printList } from './print-list.js';
import { sinceOf } from './time-flag.js';

export interface RedriveFlags extends BulkFlags {
  readonly payload?: string;
}

export interface DiscardFlags extends BulkFlags {
  readonly yes?: boolean;
}

export interface ListFlags extends OperatorFlags, PageFlags {
  readonly type?: string;
  readonly code?: string;
  readonly since?: string;
}

const LONGEST = 80;
/** Tasks of one request. */
const MAX_NAMED = 100;

export async function list(context: CommandContext, flags: ListFlags): Promise<void> {
  const { type, code } = flags;
  const since = sinceOf(flags.since);
  await using access = await openAccess(context, flags);
  const tenantId = tenantOf(flags.tenant, access.tenant);
  await printList<Task>(
    context,
    { ...flags, usual: '20' },
    (limit, cursor) => {
      const about = { tenantId, status: 'failed', type, code, since } as const;
      return access.admin.tasks({ ...about, limit: pageSize(limit, 20), cursor });
    },
    {
      none: 'no dead letters',
      head: ['task', 'type', 'attempts', 'failed', 'code', 'message'],
      row: ({ task_id, type: own, attempt, finished_at = '', error }) => [
        task_id,
        own,
        String(attempt),
        localTime(finished_at),
        error?.code ?? '',
        cutText(printable(error?.message ?? ''), LONGEST),
      ],
    },
  );
}

export async function show(context: CommandContext, taskId: string, flags: OperatorFlags): Promise<void> {
  await using access = await openAccess(context, flags);
  const task = await access.admin.task(await namedTask(access, flags, taskId));
  if (task.status !== 'failed') {
    throw new OrchestratorError(
      'not_found',
      `task ${task.task_id} is not a dead letter: its status is ${task.status}`,
    );
  }
  printTask(context.terminal, task);
}

export async function redrive(
  context: CommandContext,
  taskId: string | undefined,
  flags: RedriveFlags,
): Promise<void> {
  const { terminal } = context;
  const { all, payload: text } = flags;
  if ((taskId === undefined) !== (all === true))
    throw new UsageError(
      'expected a task id, or --all for all dead letters of the tenant, got neither or both',
    );
  if (taskId === undefined && text !== undefined)
    throw new UsageError('--payload is that of one task: expected it with a task id, got --all');
  const payload = text === undefined ? undefined : await jsonOfFlag(terminal.cwd, text, '--payload');
  if (taskId !== undefined) refuseFilters(flags);
  await using access = await openAccess(context, flags);
  if (taskId === undefined) {
    await onAll(context, {
      flags,
      act: (options) => access.admin.redriveAll(filterOf(flags, access), options),
      wouldText: 'would run again',
      doneText: 'run again',
    });
    return;
  }
  const task = await access.admin.redrive({ ...(await namedTask(access, flags, taskId)), payload });
  if (terminal.json) terminal.record(task);
  else terminal.data(task.task_id);
}

export async function discard(
  context: CommandContext,
  names: readonly string[],
  flags: DiscardFlags,
): Promise<void> {
  if ((names.length === 0) !== (flags.all === true))
    throw new UsageError(
      'expected task ids, or --all for all dead letters of the tenant, got neither or both',
    );
  if (names.length > MAX_NAMED)
    throw new UsageError(`expected at most ${MAX_NAMED} task ids, got ${names.length}`);
  if (names.length > 0) refuseFilters(flags);
  await using access = await openAccess(context, flags);
  const ids: string[] = [];
  for (const name of names) ids.push((await namedTask(access, flags, name)).taskId);
  const filter = { ...filterOf(flags, access), ...(ids.length > 0 && { task_ids: ids }) };
  if (flags.dryRun !== true) await agree(context, flags, ids.length === 0 ? `all that fit` : ids.join(', '));
  const { matched } = await onAll(context, {
    flags,
    act: (options) => access.admin.discardAll(filter, options),
    wouldText: 'would be removed',
    doneText: 'removed',
  });
  const missing = new Set(ids).size - matched;
  if (missing > 0 && !context.signal.aborted)
    throw new OrchestratorError(
      'not_found',
      `${missing} of the named tasks: expected dead letters, got none`,
    );
}

/** What is removed does not come back. @throws {UsageError} without a confirmation. */
async function agree(context: CommandContext, { yes, tenant }: DiscardFlags, what: string): Promise<void> {
  if (yes === true) return;
  const of = tenant === undefined ? '' : ` of tenant "${tenant}"`;
  if (await confirmed(context, `remove dead letters${of} for good (${what})?`)) return;
  throw new UsageError('nothing was removed: expected --yes, or a yes on a terminal; --dry-run only counts');
}

function refuseFilters({ type, code, since, dryRun }: BulkFlags): void {
  if ([type, code, since].some((flag) => flag !== undefined) || dryRun === true)
    throw new UsageError('--type, --code, --since and --dry-run choose among all: expected them with --all');
}

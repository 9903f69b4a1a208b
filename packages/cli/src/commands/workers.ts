import { printPage } from '../print/page.js';
import { localTime } from '../print/local-time.js';
import type { CommandContext } from './command-context.js';
import { watched, type WatchFlags } from './watch.js';
import { openAccess, type OperatorFlags } from './operator-context.js';

const MOST_TYPES = 8;

export function list(context: CommandContext, flags: OperatorFlags & WatchFlags): Promise<void> {
  return watched(context, flags, (each) => listOnce(each, flags));
}

async function listOnce(context: CommandContext, flags: OperatorFlags): Promise<void> {
  await using access = await openAccess(context, flags);
  const workers = await access.admin.workers();
  printPage(context.terminal, {
    none: 'no workers: tasks wait until one starts',
    head: ['worker', 'seen', 'counts as dead after', 'runs'],
    items: workers,
    row: ({ worker_id, seen_at, alive_until, runs }) => [
      worker_id,
      localTime(seen_at),
      localTime(alive_until),
      runsOf(runs),
    ],
  });
}

function runsOf(runs: readonly { readonly type: string; readonly versions: readonly number[] }[]): string {
  const named = runs.map(({ type, versions }) => {
    const isFirst = versions.length === 1 && versions[0] === 1;
    return isFirst ? type : `${type} (version ${versions.join(', ')})`;
  });
  const more = named.length - MOST_TYPES;
  return more > 0 ? `${named.slice(0, MOST_TYPES).join(', ')} and ${more} more` : named.join(', ');
}

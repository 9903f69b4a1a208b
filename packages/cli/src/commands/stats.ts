import { OrchestratorError } from '@agent-orchestrator/core';
import { printOverview } from '../print/overview-report.js';
import type { SettingFlags } from '../settings/settings.js';
import type { CommandContext } from './command-context.js';
import { openAccess } from './operator-context.js';
import { drawn, type WatchFlags } from './watch.js';

/** One snapshot, or with `--watch` each new one. */
export async function stats(context: CommandContext, flags: SettingFlags & WatchFlags): Promise<void> {
  const over = new AbortController();
  const signal = AbortSignal.any([context.signal, over.signal]);
  await using access = await openAccess(context, flags);
  try {
    for await (const report of access.admin.overviews({ signal })) {
      if (flags.watch !== true) {
        printOverview(context.terminal, report);
        return;
      }
      await drawn(context, async ({ terminal }) => printOverview(terminal, report));
    }
  } catch (error) {
    if (!context.signal.aborted) throw error;
  } finally {
    over.abort();
  }
  if (!context.signal.aborted)
    throw new OrchestratorError('service_unavailable', 'the server has ended the stream');
}

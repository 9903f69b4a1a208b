import { OrchestratorError } from '@agent-orchestrator/core';
import type { DeadLetterFilter } from '@agent-orchestrator/core/protocol';
import type { BulkOptions, BulkReport } from '@agent-orchestrator/core/server';
import type { OperatorAccess } from '../operators/operator-access.js';
import type { CommandContext } from './command-context.js';
import { type OperatorFlags, tenantOf } from './operator-context.js';
import { sinceOf } from './time-flag.js';

/** Flags that choose dead letters. */
export interface BulkFlags extends OperatorFlags {
  readonly all?: boolean;
  readonly type?: string;
  readonly code?: string;
  readonly since?: string;
  readonly dryRun?: boolean;
}

export function filterOf(
  { tenant, type, code, since: text }: BulkFlags,
  { tenant: usual }: OperatorAccess,
): DeadLetterFilter {
  const since = sinceOf(text);
  return {
    tenant: tenantOf(tenant, usual),
    ...(type !== undefined && { type }),
    ...(code !== undefined && { code }),
    ...(since !== undefined && { since }),
  };
}

interface Bulk {
  readonly flags: BulkFlags;
  readonly act: (options: BulkOptions) => Promise<BulkReport>;
  readonly wouldText: string;
  readonly doneText: string;
}

type Total = Pick<BulkReport, 'matched' | 'done'>;

/**
 * Repeats a bulk action in portions of the server until none is left, and prints the total, also of what was done before an
 * error, which is thrown after it.
 */
export async function onAll(
  context: CommandContext,
  { flags: { dryRun = false }, act, wouldText, doneText }: Bulk,
): Promise<Total> {
  const { terminal, signal } = context;
  const total = { matched: 0, done: 0 };
  let stopped: unknown;
  let cursor: string | undefined;
  do {
    try {
      const report = await act({ dryRun, cursor, signal });
      total.matched += report.matched;
      total.done += report.done;
      cursor = report.next;
      if (report.stopped) stopped = new OrchestratorError(report.stopped.code, report.stopped.message);
    } catch (error) {
      if (total.done === 0) throw error;
      stopped = error;
    }
    if (stopped !== undefined) break;
    if (cursor !== undefined) terminal.talk(terminal.dim(`${total.matched} so far …`));
  } while (cursor !== undefined && !signal.aborted);
  if (terminal.json) terminal.record(total);
  else if (dryRun) terminal.data(`${total.matched} ${wouldText}`);
  else terminal.data(`${total.done} of ${total.matched} ${doneText}`);
  if (stopped !== undefined) throw stopped;
  return total;
}

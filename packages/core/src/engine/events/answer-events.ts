import { type PublishSystemEventParams, storageEvents } from '../../storage/system-events.js';
import type { Command, CommandName, CommandResult } from '../command.js';

/** The event for operators that follows from the answer of a command, whichever command it is. */
export function systemEventOf(
  { name, params }: Command,
  result: CommandResult<CommandName>,
): PublishSystemEventParams | undefined {
  if (typeof result !== 'object' || !('answer' in result)) return undefined;
  if (result.answer === 'queue_full' && 'tenantId' in params)
    return storageEvents.tenantAtLimit(params.tenantId);
  if (name !== 'journal.report' || result.answer !== 'late') return undefined;
  const { tenantId, service, jobId } = params as Command<'journal.report'>['params'];
  return storageEvents.lateOutcome({ tenantId, service, jobId, taskId: result.taskId });
}

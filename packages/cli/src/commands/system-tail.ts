import { OrchestratorError } from '@agent-orchestrator/core';
import type { SystemEventReport } from '@agent-orchestrator/core/server';
import { EXIT, UsageError } from '../errors/errors.js';
import type { SettingFlags } from '../settings/settings.js';
import { inOneLine, type Terminal } from '../terminal/terminal.js';
import type { CommandContext } from './command-context.js';
import { openAccess } from './operator-context.js';
import { localTime } from '../print/local-time.js';

export interface TailFlags extends SettingFlags {
  readonly system?: boolean;
}

export async function tail(context: CommandContext, flags: TailFlags): Promise<void> {
  const { terminal, signal } = context;
  if (flags.system !== true) {
    throw new UsageError('expected --system; "orchestrator-cli tasks tail" follows tasks');
  }
  await using access = await openAccess(context, flags);
  terminal.talk(terminal.dim('following system events, Ctrl-C ends'));
  try {
    for await (const systemEvent of access.admin.systemEvents({ signal })) print(terminal, systemEvent);
  } catch (cause) {
    if (cause instanceof OrchestratorError) throw cause;
    throw new OrchestratorError('storage_unavailable', 'the storage does not answer any more', { cause });
  }
  if (signal.aborted) context.exit(EXIT.interrupted);
}

function print(terminal: Terminal, systemEvent: SystemEventReport): void {
  if (terminal.json) terminal.record(systemEvent);
  else
    terminal.data(
      `${terminal.paint('dim', localTime(systemEvent.at))} ${terminal.paint('bold', systemEvent.kind)} ${inOneLine(systemEvent.text)}`,
    );
}

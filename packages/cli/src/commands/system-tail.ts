import { OrchestratorError } from '@agent-orchestrator/core';
import type { SystemEvent } from '@agent-orchestrator/redis-adapter';
import type { Command } from 'commander';
import { EXIT, UsageError } from '../exit-code.js';
import type { SettingFlags } from '../settings/settings.js';
import { inOneLine, type Terminal } from '../terminal.js';
import type { CommandContext } from './command-context.js';
import { withOperatorStorage, withRedisFlag } from './operator-context.js';
import { localTime } from '../print/local-time.js';

export function addTailCommand(program: Command, context: CommandContext): void {
  withRedisFlag(program.command('tail'))
    .description('follow system events, directly from Redis')
    .option(
      '--system',
      'system events: joined and lost workers, dead letters, late outcomes, tenants at their limit, failing services',
    )
    .action((flags: SettingFlags & { readonly system?: boolean }) => tail(context, flags));
}

async function tail(context: CommandContext, flags: SettingFlags & { readonly system?: boolean }) {
  const { terminal, signal } = context;
  if (flags.system !== true) {
    throw new UsageError('expected --system; "orchestrator-cli tasks tail" follows tasks');
  }
  await withOperatorStorage(context, flags, async (storage) => {
    terminal.talk(terminal.dim('following system events, Ctrl-C ends'));
    try {
      for await (const systemEvent of storage.systemEvents.follow({ signal })) print(terminal, systemEvent);
    } catch (cause) {
      if (cause instanceof OrchestratorError) throw cause;
      throw new OrchestratorError('storage_unavailable', 'Redis does not answer any more', { cause });
    }
  });
  if (signal.aborted) context.exit(EXIT.interrupted);
}

function print(terminal: Terminal, systemEvent: SystemEvent): void {
  if (terminal.json) terminal.record({ ...systemEvent, at: new Date(systemEvent.at).toISOString() });
  else
    terminal.data(
      `${terminal.paint('dim', localTime(systemEvent.at))} ${terminal.paint('bold', systemEvent.kind)} ${inOneLine(systemEvent.text)}`,
    );
}

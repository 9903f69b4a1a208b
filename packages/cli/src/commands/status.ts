import { EXIT } from '../errors/errors.js';
import { table } from '../print/table.js';
import type { SettingFlags } from '../settings/settings.js';
import { type CommandContext, connectionOf } from './command-context.js';

/** Whether the orchestrator is ready, with its checks; ends with 1 if it is not. */
export async function status(context: CommandContext, flags: SettingFlags): Promise<void> {
  const { terminal } = context;
  const { api, url } = await connectionOf(context, flags);
  const health = await api.health();
  if (terminal.json) terminal.record({ url, ...health });
  else {
    terminal.data(`${url} is ${health.ready ? 'ready' : terminal.paint('red', 'not ready')}`);
    const rows = Object.entries(health.checks).map(([name, { ok, detail }]) => [
      name,
      ok ? 'ok' : 'failed',
      detail,
    ]);
    for (const line of table(['check', '', ''], rows, terminal)) terminal.data(line);
  }
  if (!health.ready) context.exit(EXIT.taskFailed);
}

import type { Logger } from '@agent-orchestrator/core';
import type { Terminal } from '../terminal/terminal.js';

/** Warnings and errors on stderr; everything with `ORCHESTRATOR_LOG=debug`. */
export function terminalLogger(terminal: Terminal): Logger {
  const all = terminal.env['ORCHESTRATOR_LOG'] === 'debug';
  const say = (level: string) => (message: string, fields?: Readonly<Record<string, unknown>>) => {
    const more = fields ? ` ${JSON.stringify(fields)}` : '';
    terminal.stderr.write(`${level} ${message}${more}\n`);
  };
  const nothing = () => {};
  return {
    debug: all ? say('debug') : nothing,
    info: all ? say('info') : nothing,
    warn: say('warn'),
    error: say('error'),
  };
}

import type { Logger } from '@agent-orchestrator/core';
import { pino } from 'pino';
import { LOG_LEVELS, type LogFormat, type LogLevel } from '../settings/log-settings.js';
import type { Terminal } from '../terminal/terminal.js';

export interface LogOptions {
  readonly level: LogLevel;
  readonly format: LogFormat;
}

/** A log on stderr: lines for people, or JSON lines with `level`, `time`, `pid`, `msg` and the ids. */
export function createLogger(terminal: Terminal, { level, format }: LogOptions): Logger {
  return format === 'json' ? jsonLogger(terminal, level) : textLogger(terminal, level);
}

function textLogger(terminal: Terminal, lowest: LogLevel): Logger {
  const sayFrom = (level: Exclude<LogLevel, 'silent'>) => {
    if (LOG_LEVELS.indexOf(level) < LOG_LEVELS.indexOf(lowest)) return () => {};
    return (message: string, fields?: Fields) => {
      const more = fields ? ` ${JSON.stringify(fields)}` : '';
      terminal.stderr.write(`${level} ${message}${more}\n`);
    };
  };
  return { debug: sayFrom('debug'), info: sayFrom('info'), warn: sayFrom('warn'), error: sayFrom('error') };
}

type Fields = Readonly<Record<string, unknown>>;

function jsonLogger(terminal: Terminal, level: LogLevel): Logger {
  const logger = pino(
    {
      level,
      base: { pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    terminal.stderr,
  );
  const sayAt = (at: Exclude<LogLevel, 'silent'>) => (message: string, fields?: Fields) => {
    if (logger.isLevelEnabled(at)) logger[at](withWireNames(fields), message);
  };
  return { debug: sayAt('debug'), info: sayAt('info'), warn: sayAt('warn'), error: sayAt('error') };
}

/** Ids have the names that they have on the wire. */
function withWireNames(fields: Fields = {}): Fields {
  const named = Object.entries(fields).map(([name, value]) => [
    name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
    value,
  ]);
  return Object.fromEntries(named) as Fields;
}

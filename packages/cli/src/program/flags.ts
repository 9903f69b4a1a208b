import type { Command } from 'commander';
import { OWN_SETTINGS } from '../storage/own-settings.js';

/** Argument of commands on one task. */
export const TASK_ID = 'its id, or 4 or more characters of its beginning (of the newest 10,000 tasks)';
/** Argument of commands on one session. */
export const SESSION_ID = 'its id, or 4 or more characters of its beginning (of the newest 1,000 sessions)';

/** `--storage`, and the flags of single kinds of storage. */
function withStorage(command: Command, description: string): Command {
  command.option('--storage <url>', description);
  for (const { name, title, variable } of OWN_SETTINGS)
    command.option(`--${name} <url>`, `the same, for ${title} (default: ${variable})`);
  return command;
}

/** Flags of commands that run an orchestrator. */
export function withServerFlags(command: Command): Command {
  return command
    .option('--port <port>', 'port to listen on, 0 for any (default: ORCHESTRATOR_PORT, else 8000)')
    .option('--host <host>', 'address to listen on (default: ORCHESTRATOR_HOST, else 127.0.0.1)');
}

/** Flags of commands that run an orchestrator on a storage. */
export function withStorageFlags(command: Command): Command {
  return withStorage(command, 'storage (default: ORCHESTRATOR_STORAGE, else file:.orchestrator/data)').option(
    '--concurrency <n>',
    'concurrent tasks (default: 100)',
  );
}

/** Flags of commands on a storage that no process uses. */
export function withIdleStorageFlags(command: Command): Command {
  return withStorage(command, 'the storage (default: ORCHESTRATOR_STORAGE, else file:.orchestrator/data)');
}

/** Flags of commands of operators. */
export function withOperatorFlags(command: Command): Command {
  return withStorage(
    command,
    'straight from this storage, without a server (default: ORCHESTRATOR_STORAGE if processes share it, else the server)',
  );
}

/** Flags of commands of operators about one tenant. */
export function withTenantFlags(command: Command): Command {
  return withOperatorFlags(command).option(
    '--tenant <id>',
    'tenant (default: that of the "dev" of this folder)',
  );
}

/** Flags of commands that use HTTP, or have direct access to one tenant's data. */
export function withEitherFlags(command: Command): Command {
  return withStorage(command, 'straight from this storage, instead of over HTTP').option(
    '--tenant <id>',
    'this tenant, straight from the storage (default: ORCHESTRATOR_STORAGE)',
  );
}

/** Flags of lists. */
export function withPageFlags(command: Command, usual: number): Command {
  return command
    .option('-n, --limit <count>', `maximum number (default: ${usual})`)
    .option('--cursor <cursor>', 'next page, as printed by the previous one')
    .option('--all', 'everything, page by page');
}

/** Flags that choose among tasks by their error and their last change. */
export function withErrorFlags(command: Command): Command {
  return command
    .option('--code <code>', 'only with this code of the error')
    .option('--since <time>', 'only what has changed since: 30m, 1h, 2d, or an ISO 8601 time');
}

/** Flag of commands that print again and again. */
export function withWatchFlag(command: Command): Command {
  return command.option(
    '-w, --watch',
    'print it again every two seconds, on a terminal in place; Ctrl-C ends',
  );
}

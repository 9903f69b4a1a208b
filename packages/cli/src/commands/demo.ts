import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { connect, type Connection } from '../client/connection.js';
import { EXIT } from '../errors/errors.js';
import { exitCodeOfTask } from '../errors/exit-code.js';
import type { SettingFlags, Settings } from '../settings/settings.js';
import { FileAddress } from '../storage/file-kind.js';
import { ask } from './ask.js';
import { type CommandContext, namesStorage, serverSettings } from './command-context.js';
import { findOrRefuse, ingest } from './ingest.js';
import { nextSteps, startDev, untilInterrupted } from './serve.js';

export interface DemoFlags extends SettingFlags {
  readonly once?: boolean;
  readonly question: string;
}

const OWN_DOCUMENTATION = ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'docs'];

export async function demo(context: CommandContext, paths: string[], flags: DemoFlags): Promise<void> {
  const given = await serverSettings(context, flags);
  // A single run leaves nothing behind, unless its command says where.
  const temporary =
    flags.once && !namesStorage(flags) ? await mkdtemp(join(tmpdir(), 'agent-orchestrator-')) : undefined;
  const storage = temporary === undefined ? given.storage : new FileAddress(temporary);
  try {
    await demoOn(context, { ...given, storage }, { paths, flags });
  } finally {
    if (temporary !== undefined) await rm(temporary, { recursive: true, force: true });
  }
}

async function demoOn(
  context: CommandContext,
  settings: Settings,
  { paths, flags }: { readonly paths: readonly string[]; readonly flags: DemoFlags },
): Promise<void> {
  const { terminal, signal } = context;
  const dev = await startDev(context, settings);
  const { node, credentials, forget } = dev;
  terminal.talk(`1. orchestrator and local services run at ${node.url}, storage ${settings.storage.label}`);
  try {
    const connection = await connect({ url: node.url, apiKey: credentials.apiKey }, terminal.cwd);
    const documents = paths.length > 0 ? paths : await ownDocumentation();
    context.exit(await ingestAndAsk(context, connection, documents, flags.question));
    if (flags.once !== true && !signal.aborted) {
      terminal.talk('');
      for (const line of nextSteps(dev)) terminal.talk(line);
      await untilInterrupted(context, node, { forget });
    }
  } finally {
    await forget();
    await node.stop({ graceMs: 1_000 });
  }
}

/** Uses HTTP and WebSocket as any client. Returns the exit code. */
async function ingestAndAsk(
  context: CommandContext,
  connection: Connection,
  paths: readonly string[],
  question: string,
): Promise<number> {
  const { terminal, signal } = context;
  terminal.talk('2. ingesting documents');
  const { ingested, ended } = await ingest(context, connection, await findOrRefuse(paths, terminal.cwd));
  if (!ended) return EXIT.interrupted;
  if (ingested === 0) return EXIT.taskFailed;
  terminal.talk(`3. asking: ${terminal.paint('bold', question, terminal.stderr)}`);
  const task = await ask(context, connection, { message: question, signal });
  return task ? exitCodeOfTask(task) : EXIT.interrupted;
}

/** The repository's own documentation: present when the command runs from it. */
async function ownDocumentation(): Promise<string[]> {
  const root = fileURLToPath(new URL('../../../../', import.meta.url));
  const found: string[] = [];
  for (const name of OWN_DOCUMENTATION) {
    const path = `${root}${name}`;
    if (await stat(path).catch(() => undefined)) found.push(path);
  }
  return found;
}

import { stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { connect, type Connection } from '../client/connection.js';
import { findDocuments } from '../documents/find-documents.js';
import { EXIT } from '../exit-code.js';
import type { LocalNode } from '../node/local-node.js';
import { failureLine, printAnswer } from '../print/answer.js';
import { ask } from './chat.js';
import { type CommandContext, type CommonFlags, settingsOf, withServerFlags } from './command-context.js';
import { ingest } from './ingest.js';
import { nextSteps, startDev, untilInterrupted } from './serve.js';

interface DemoFlags extends CommonFlags {
  readonly once?: boolean;
  readonly question: string;
}

const QUESTION = 'What happens to a task when the worker that runs it dies?';
const OWN_DOCUMENTATION = ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'docs'];

export function addDemoCommand(program: Command, context: CommandContext): void {
  withServerFlags(program.command('demo'))
    .description('the whole way once: start, ingest documents, ask a question, print the cited answer')
    .argument('[paths...]', "documents to ingest (default: the project's own documentation)")
    .option('--once', 'end after the answer instead of serving on')
    .option('--question <text>', 'what to ask', QUESTION)
    .action((paths: string[], flags: DemoFlags) => demo(context, paths, flags));
}

async function demo(context: CommandContext, paths: string[], flags: DemoFlags): Promise<void> {
  const { terminal, signal } = context;
  const settings = await settingsOf(context, flags);
  const documents = paths.length > 0 ? paths : await ownDocumentation();
  const { node, credentials, forget } = await startDev(context, settings);
  terminal.talk(`1. orchestrator and local services run at ${node.url}`);
  const connection = await connect({ ...settings, url: node.url, apiKey: credentials.apiKey }, terminal.cwd);
  const answered = await ingestAndAsk(context, connection, documents, flags.question).catch(
    async (error: unknown) => {
      await forget();
      await node.stop({ graceMs: 1_000 });
      throw error;
    },
  );
  if (flags.once === true || signal.aborted || !answered) {
    await stopDemo(context, node, forget);
    if (!answered) context.exit(signal.aborted ? EXIT.interrupted : EXIT.taskFailed);
    return;
  }
  terminal.talk('');
  for (const line of nextSteps(node.url)) terminal.talk(line);
  await untilInterrupted(context, node, forget);
}

async function stopDemo(
  context: CommandContext,
  node: LocalNode,
  forget: () => Promise<void>,
): Promise<void> {
  await forget();
  await node.stop({ graceMs: 2_000 });
  context.terminal.talk(context.terminal.dim('stopped'));
}

/** Over HTTP and WebSocket, as any client would. */
async function ingestAndAsk(
  context: CommandContext,
  connection: Connection,
  paths: readonly string[],
  question: string,
): Promise<boolean> {
  const { terminal, signal } = context;
  terminal.talk('2. ingesting documents');
  const found = await findDocuments(paths, terminal.cwd);
  const { ingested } = await ingest(context, connection, found);
  if (ingested === 0 || signal.aborted) return false;
  terminal.talk(`3. asking: ${terminal.paint('bold', question, terminal.stderr)}`);
  const task = await ask({ context, connection, message: question, flags: {}, session: undefined, signal });
  if (!task) return false;
  terminal.talk('4. the answer');
  if (task.status === 'completed') printAnswer(task, terminal);
  else terminal.error(failureLine(task));
  return task.status === 'completed';
}

/** What the repository says of itself: there when the command is run from it. */
async function ownDocumentation(): Promise<string[]> {
  const root = fileURLToPath(new URL('../../../../', import.meta.url));
  const candidates = OWN_DOCUMENTATION.map((name) => `${root}${name}`);
  const there = await Promise.all(
    candidates.map((path) =>
      stat(path).then(
        () => true,
        () => false,
      ),
    ),
  );
  return candidates.filter((_, index) => there[index]);
}

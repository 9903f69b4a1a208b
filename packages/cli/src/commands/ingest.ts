import type { JsonValue, Task } from '@agent-orchestrator/core';
import type { Command } from 'commander';
import PQueue from 'p-queue';
import type { Connection } from '../client/connection.js';
import { followTask } from '../client/task-follower.js';
import {
  findDocuments,
  type FoundDocument,
  readDocument,
  type Refused,
} from '../documents/find-documents.js';
import { EXIT, exitCodeOf, UsageError } from '../exit-code.js';
import { ProgressBar } from '../print/progress-bar.js';
import { type CommandContext, type CommonFlags, connectionOf, withClientFlags } from './command-context.js';

interface IngestFlags extends CommonFlags {
  readonly collection?: string;
}

/** Documents that are under way at once. */
const AT_ONCE = 4;

export function addIngestCommand(program: Command, context: CommandContext): void {
  withClientFlags(program.command('ingest'))
    .description('read files and folders (Markdown, text, HTML) so that questions about them can be answered')
    .argument('<paths...>', 'files and folders')
    .option('--collection <name>', 'put them into this collection')
    .action(async (paths: string[], flags: IngestFlags) => {
      const connection = await connectionOf(context, flags);
      const found = await findDocuments(paths, context.terminal.cwd);
      if (found.documents.length === 0 && found.refused.length === 0) {
        throw new UsageError(`expected Markdown, text or HTML files in ${paths.join(', ')}, got none`);
      }
      const outcome = await ingest(context, connection, { ...found, collection: flags.collection });
      context.exit(
        context.signal.aborted ? EXIT.interrupted : outcome.refused === 0 ? EXIT.ok : EXIT.taskFailed,
      );
    });
}

export interface IngestOutcome {
  readonly ingested: number;
  readonly chunks: number;
  readonly refused: number;
}

/** Ingests documents side by side; one that can't be ingested is said so, and the others go on. */
export async function ingest(
  context: CommandContext,
  connection: Connection,
  what: {
    readonly documents: readonly FoundDocument[];
    readonly refused: readonly Refused[];
    readonly collection?: string | undefined;
  },
): Promise<IngestOutcome> {
  const { terminal, signal } = context;
  const bar = new ProgressBar(terminal, what.documents.length);
  let [ingested, chunks, refused] = [0, 0, 0];
  const refuse = ({ path, reason }: Refused) => {
    refused += 1;
    if (terminal.json) terminal.record({ name: path, status: 'failed', error: reason });
    else bar.note(`  ${terminal.paint('red', 'refused', terminal.stderr)} ${path}: ${reason}`);
  };
  for (const file of what.refused) refuse(file);
  const queue = new PQueue({ concurrency: AT_ONCE });
  await queue.addAll(
    what.documents.map((document) => async () => {
      if (signal.aborted) return;
      const done = await ingestOne(connection, document, what.collection, signal);
      if (!done) return;
      if ('reason' in done) refuse(done);
      else {
        ingested += 1;
        chunks += done.chunks;
        if (terminal.json) terminal.record({ name: document.name, status: 'completed', ...done });
      }
      bar.step(document.name);
    }),
  );
  bar.end();
  terminal.talk(
    `${ingested} documents ingested (${chunks} passages)${refused > 0 ? `, ${refused} refused` : ''}`,
  );
  return { ingested, chunks, refused };
}

async function ingestOne(
  connection: Connection,
  document: FoundDocument,
  collection: string | undefined,
  signal: AbortSignal,
): Promise<{ readonly document_id: string; readonly chunks: number } | Refused | undefined> {
  const { path, name, mediaType } = document;
  let content: string;
  try {
    content = await readDocument(path);
  } catch (error) {
    return { path: name, reason: (error as Error).message };
  }
  const input = { name, media_type: mediaType, content, ...(collection !== undefined && { collection }) };
  try {
    const task = await runTask(connection, 'ingestion', input, signal);
    if (!task) return undefined;
    if (task.status === 'completed') return task.result as { document_id: string; chunks: number };
    return { path: name, reason: `${task.error?.code}: ${task.error?.message}` };
  } catch (error) {
    const code = exitCodeOf(error);
    if (code === EXIT.unreachable || code === EXIT.denied || signal.aborted) throw error;
    return { path: name, reason: (error as Error).message };
  }
}

async function runTask(
  connection: Connection,
  type: string,
  payload: JsonValue,
  signal: AbortSignal,
): Promise<Task | undefined> {
  const { task_id: taskId } = await connection.api.post<{ task_id: string }>(
    '/v1/tasks',
    { type, payload },
    { signal },
  );
  return followTask(connection, { taskId, signal, onEvent: () => {} });
}

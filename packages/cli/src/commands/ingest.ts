import { randomUUID } from 'node:crypto';
import type { JsonValue, Task } from '@agent-orchestrator/core';
import PQueue from 'p-queue';
import type { Connection } from '../client/connection.js';
import { followTask } from '../client/task-follower.js';
import {
  findDocuments,
  type FoundDocument,
  type FoundDocuments,
  readDocument,
} from '../documents/find-documents.js';
import { EXIT, UsageError } from '../errors/errors.js';
import { errorCodeOf, exitCodeOf } from '../errors/exit-code.js';
import { ProgressBar } from '../print/progress-bar.js';
import type { SettingFlags } from '../settings/settings.js';
import { type CommandContext, connectionOf } from './command-context.js';

export interface IngestFlags extends SettingFlags {
  readonly collection?: string;
}

/** Documents ingested concurrently. */
const AT_ONCE = 4;

export async function ingestPaths(
  context: CommandContext,
  paths: string[],
  flags: IngestFlags,
): Promise<void> {
  const found = await findOrRefuse(paths, context.terminal.cwd);
  const connection = await connectionOf(context, flags);
  const { refused, ended } = await ingest(context, connection, found, flags.collection);
  if (ended) context.exit(refused === 0 ? EXIT.ok : EXIT.taskFailed);
  else context.exit(EXIT.interrupted);
}

/** @throws {UsageError} when there is neither a document to ingest nor one to refuse. */
export async function findOrRefuse(paths: readonly string[], cwd: string): Promise<FoundDocuments> {
  if (paths.includes('')) throw new UsageError('expected files and folders, got an empty name');
  const found = await findDocuments(paths, cwd);
  if (found.documents.length + found.refused.length > 0) return found;
  throw new UsageError(`expected Markdown, text or HTML files in ${paths.join(', ')}, got none`);
}

export interface IngestOutcome {
  readonly ingested: number;
  readonly refused: number;
  /** Whether all documents were tried; false after an interrupt. */
  readonly ended: boolean;
}

/** An ingested document, or the reason of its refusal. */
type Ingested = { readonly document_id: string; readonly chunks: number };
type Failure = { readonly code: string; readonly message: string };

/** Ingests documents concurrently; a refused one is reported, and the others continue. */
export async function ingest(
  { terminal, signal }: CommandContext,
  connection: Connection,
  found: FoundDocuments,
  collection?: string,
): Promise<IngestOutcome> {
  const bar = new ProgressBar(terminal, found.documents.length + found.refused.length);
  const counts = { ingested: 0, chunks: 0, refused: 0 };
  const refuse = (name: string, error: Failure) => {
    counts.refused += 1;
    bar.step(name, error.message);
    if (terminal.json) terminal.record({ name, status: 'failed', error });
  };
  for (const { path, reason } of found.refused) refuse(path, invalid(reason));
  // An unreachable orchestrator ends all of them.
  const gone = new AbortController();
  const reach: Reach = {
    connection,
    signal: AbortSignal.any([signal, gone.signal]),
    onReconnect: onceOnly(() => bar.note('  connection lost, reconnecting')),
  };
  const one = async (document: FoundDocument) => {
    const outcome = await ingestOne(reach, document, collection);
    if (!outcome) return;
    if ('message' in outcome) {
      refuse(document.name, outcome);
      return;
    }
    counts.ingested += 1;
    counts.chunks += outcome.chunks;
    bar.step(document.name);
    if (terminal.json) terminal.record({ name: document.name, status: 'completed', ...outcome });
  };
  const queue = new PQueue({ concurrency: AT_ONCE });
  try {
    await queue.addAll(found.documents.map((document) => () => one(document)));
  } finally {
    gone.abort();
    queue.clear();
    bar.end();
  }
  const { ingested, chunks, refused } = counts;
  const left = found.documents.length + found.refused.length - ingested - refused;
  const missing = left === 0 ? '' : `, interrupted before the other ${left}`;
  const refusals = refused > 0 ? `, ${refused} refused` : '';
  terminal.talk(`documents ingested: ${ingested} (${chunks} passages)${refusals}${missing}`);
  return { ingested, refused, ended: left === 0 };
}

interface Reach {
  readonly connection: Connection;
  readonly signal: AbortSignal;
  readonly onReconnect: () => void;
}

/** @throws when every other document would fail too. */
async function ingestOne(
  reach: Reach,
  { path, name, mediaType }: FoundDocument,
  collection: string | undefined,
): Promise<Ingested | Failure | undefined> {
  if (reach.signal.aborted) return undefined;
  let content: string;
  try {
    content = await readDocument(path);
  } catch (error) {
    return invalid((error as Error).message);
  }
  const input = { name, media_type: mediaType, content, ...(collection !== undefined && { collection }) };
  try {
    const task = await runTask(reach, 'ingestion', input);
    if (!task) return undefined;
    if (task.status === 'completed') return task.result as unknown as Ingested;
    return { code: task.error?.code ?? 'internal_error', message: task.error?.message ?? task.status };
  } catch (error) {
    if (reach.signal.aborted) return undefined;
    const code = exitCodeOf(error);
    if (code === EXIT.unreachable || code === EXIT.denied) throw error;
    return { code: errorCodeOf(error), message: (error as Error).message };
  }
}

async function runTask(
  { connection, signal, onReconnect }: Reach,
  type: string,
  payload: JsonValue,
): Promise<Task | undefined> {
  const { task_id: taskId } = await connection.api.post<{ task_id: string }>(
    '/v1/tasks',
    { type, payload },
    { headers: { 'idempotency-key': randomUUID() }, signal },
  );
  return followTask(connection, { taskId, signal, onReconnect, onEvent: () => {} });
}

function invalid(message: string): Failure {
  return { code: 'invalid_request', message };
}

function onceOnly(say: () => void): () => void {
  let said = false;
  return () => {
    if (!said) say();
    said = true;
  };
}

import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { type FileHandle, link, mkdtemp, open, rm, stat, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { OrchestratorError } from '@agent-orchestrator/core';
import {
  exportLines,
  type ExportSummary,
  type PortableRecord,
  type PortableState,
  readExport,
} from '@agent-orchestrator/core/storage';
import { ConfigurationError, UsageError } from '../errors/errors.js';
import { readSettings, type SettingFlags } from '../settings/settings.js';
import type { Terminal } from '../terminal/terminal.js';
import type { CommandContext } from './command-context.js';

const READ_BYTES = 2 ** 18;

/** Takes the lines of an export. */
interface LineSink {
  write(text: string): Promise<void>;
  /** Everything was written. */
  end(): Promise<void>;
}

/** Writes everything of a storage to a file that does not exist yet, or to standard output. */
export async function exportStorage(
  context: CommandContext,
  file: string | undefined,
  flags: SettingFlags,
): Promise<void> {
  const { terminal, signal } = context;
  const { label, state } = await openPortable(context, flags);
  try {
    const path = file === undefined ? undefined : resolve(terminal.cwd, file);
    await using sink =
      path === undefined ? new OutputSink(terminal, signal) : await NewFile.create(path, file);
    const summary = await ofStorage(label, () => writeExport(state, sink, signal));
    await sink.end();
    const { counts, sha256 } = summary;
    if (path === undefined) return;
    if (terminal.json) terminal.record({ file: path, sha256, counts });
    else terminal.talk(`${textOf(counts)} of ${label} are in ${file}`);
  } finally {
    await state.close();
  }
}

async function writeExport(
  state: PortableState,
  sink: LineSink,
  signal: AbortSignal,
): Promise<ExportSummary> {
  const lines = exportLines(state.exportRecords({ signal }), new Date().toISOString());
  try {
    for (;;) {
      const next = await lines.next();
      if (next.done === true) return next.value;
      signal.throwIfAborted();
      await sink.write(next.value);
    }
  } finally {
    await lines.return(undefined as never);
  }
}

/** Fills an empty storage. The export is read twice: nothing is stored of one that is not intact. */
export async function importStorage(
  context: CommandContext,
  file: string,
  flags: SettingFlags,
): Promise<void> {
  const { terminal, signal } = context;
  const { label, state } = await openPortable(context, flags);
  try {
    await using source = file === '-' ? await SpooledInput.read(terminal, signal) : undefined;
    const shown = file === '-' ? 'standard input' : file;
    const path = source?.path ?? resolve(terminal.cwd, file);
    await refuseNoFile(path, shown);
    const summary = await intact(path, shown, signal);
    const records = () => recordsOf(path, shown, summary, signal);
    await ofStorage(label, () => state.importRecords({ source: { id: summary.sha256, records }, signal }));
    const { counts, exported_at } = summary;
    if (terminal.json) terminal.record({ storage: label, exported_at, sha256: summary.sha256, counts });
    else terminal.talk(`${textOf(counts)} are in ${label} now`);
  } finally {
    await state.close();
  }
}

async function openPortable(
  { terminal }: CommandContext,
  flags: SettingFlags,
): Promise<{ readonly label: string; readonly state: PortableState }> {
  const { storage } = await readSettings(flags, terminal.env, terminal.cwd);
  const { label, portable } = storage;
  if (!portable)
    throw new ConfigurationError(`--storage: expected a storage that outlives its process, got ${label}`);
  return { label, state: await portable.call(storage, terminal.cwd) };
}

/** What a storage refuses because of its state is a matter of the settings; a file's mistakes have their own error. */
async function ofStorage<T>(label: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    const isRefusal =
      error instanceof OrchestratorError && (error.code === 'conflict' || error.code === 'invalid_request');
    throw isRefusal ? new ConfigurationError(`${label}: ${error.message}`, { cause: error }) : error;
  }
}

async function refuseNoFile(path: string, shown: string): Promise<void> {
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => error);
  if (found instanceof Error)
    throw new UsageError(`${shown}: expected a file to read, got ${found.code ?? 'none'}`);
  if (!found.isFile()) throw new UsageError(`${shown}: expected a file, got something else`);
}

/** Reads all of an export. @throws {UsageError} with the first mistake. */
async function intact(path: string, shown: string, signal: AbortSignal): Promise<ExportSummary> {
  const records = readExport(createReadStream(path, { highWaterMark: READ_BYTES, signal }));
  try {
    for (;;) {
      const next = await records.next();
      if (next.done === true) return next.value;
    }
  } catch (error) {
    throw ofFile(error, shown);
  }
}

async function* recordsOf(
  path: string,
  shown: string,
  { sha256 }: ExportSummary,
  signal: AbortSignal,
): AsyncGenerator<PortableRecord> {
  const chunks = createReadStream(path, { highWaterMark: READ_BYTES, signal });
  const changed = `${shown}: expected the export as it was read before, got another one: it has changed meanwhile`;
  try {
    const summary = yield* readExport(chunks);
    if (summary.sha256 !== sha256) throw new UsageError(changed);
  } catch (error) {
    throw error instanceof OrchestratorError ? new UsageError(changed, { cause: error }) : error;
  }
}

function ofFile(error: unknown, shown: string): unknown {
  if (error instanceof OrchestratorError && error.code === 'invalid_request')
    return new UsageError(`${shown}: ${error.message}`, { cause: error });
  return error;
}

function textOf(counts: Readonly<Record<string, number>>): string {
  return ['tenants', 'sessions', 'tasks']
    .map((what) => `${counts[what] ?? 0} ${counts[what] === 1 ? what.slice(0, -1) : what}`)
    .join(', ');
}

/** Standard output: waits for its reader. */
class OutputSink implements LineSink, AsyncDisposable {
  constructor(
    private readonly terminal: Terminal,
    private readonly signal: AbortSignal,
  ) {}

  async write(text: string): Promise<void> {
    if (!this.terminal.stdout.write(text)) await once(this.terminal.stdout, 'drain', { signal: this.signal });
  }

  async end(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** A file that has its name once all of it is written. Only this user reads it: it holds payloads and results. */
class NewFile implements LineSink, AsyncDisposable {
  #isOpen = true;

  private constructor(
    private readonly file: FileHandle,
    private readonly path: string,
    private readonly temporary: string,
    private readonly shown: string,
  ) {}

  static async create(path: string, shown = path): Promise<NewFile> {
    if (await stat(path).catch(() => undefined)) throw taken(shown);
    const temporary = `${path}.${randomUUID().slice(0, 8)}.part`;
    try {
      return new NewFile(await open(temporary, 'wx', 0o600), path, temporary, shown);
    } catch (error) {
      throw new UsageError(`${shown}: expected a file to create, got ${(error as Error).message}`);
    }
  }

  async write(text: string): Promise<void> {
    await this.file.write(text);
  }

  async end(): Promise<void> {
    await this.file.sync();
    await this.#close();
    // In one step, and never over another file.
    await link(this.temporary, this.path).catch((error: NodeJS.ErrnoException) => {
      throw error.code === 'EEXIST' ? taken(this.shown) : error;
    });
  }

  async #close(): Promise<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    await this.file.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
    await unlink(this.temporary).catch(() => undefined);
  }
}

function taken(shown: string): UsageError {
  return new UsageError(`${shown}: expected a file to create, got one that is there already`);
}

/** Standard input as a file: it has to be read twice. */
class SpooledInput implements AsyncDisposable {
  private constructor(private readonly folder: string) {}

  static async read({ stdin }: Terminal, signal: AbortSignal): Promise<SpooledInput> {
    const input = new SpooledInput(await mkdtemp(join(tmpdir(), 'orchestrator-import-')));
    try {
      const file = await open(input.path, 'wx', 0o600);
      try {
        for await (const chunk of stdin) {
          signal.throwIfAborted();
          await file.write(chunk as Buffer);
        }
      } finally {
        await file.close();
      }
      return input;
    } catch (error) {
      await input[Symbol.asyncDispose]();
      throw error;
    }
  }

  get path(): string {
    return join(this.folder, 'export.jsonl');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}

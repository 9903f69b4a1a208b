import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MARKS_REJECTIONS, refuseUnhandled } from '@agent-orchestrator/test-servers';

const BIN = fileURLToPath(new URL('../bin/orchestrator-cli.mjs', import.meta.url));
/** Far above the duration of any command, and of a server in a test file: a process that reaches it hangs. */
const COMMAND_HANGS_MS = 100_000;
const SERVER_HANGS_MS = 1_800_000;

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  /** Default: an empty folder, removed at its end. */
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Default: nothing, at its end at once. */
  readonly input?: string;
  /** More could come: the input does not end. */
  readonly keepInput?: boolean;
  /** When it is killed because it hangs. */
  readonly hangsMs?: number;
}

/** The real command in a process of its own, with nothing of this process's settings. Ended at the latest with its scope. */
export class CliProcess implements AsyncDisposable {
  readonly ended: Promise<Ended>;
  readonly #child: ChildProcess;
  readonly #text = { stdout: '', stderr: '' };
  readonly #watchers = new Set<() => void>();

  constructor(args: readonly string[], options: CliOptions = {}) {
    const { env = {}, input = '', hangsMs = COMMAND_HANGS_MS } = options;
    const own = options.cwd === undefined ? mkdtempSync(join(tmpdir(), 'orchestrator-cli-')) : undefined;
    const { PATH = '', HOME = '' } = process.env;
    const child = spawn(process.execPath, [BIN, ...args], {
      cwd: options.cwd ?? own,
      env: { PATH, HOME, ...MARKS_REJECTIONS, ...env },
    });
    this.#child = child;
    const hangs = setTimeout(() => child.kill('SIGKILL'), hangsMs);
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].setEncoding('utf8').on('data', (text: string) => {
        this.#text[name] += text;
        for (const watcher of this.#watchers) watcher();
      });
    }
    child.stdin.on('error', () => {});
    child.stdin.write(input);
    if (options.keepInput !== true) child.stdin.end();
    this.ended = new Promise((resolve, reject) => {
      child.once('close', (code) => {
        clearTimeout(hangs);
        if (own !== undefined) rmSync(own, { recursive: true, force: true });
        try {
          refuseUnhandled(this.#text.stderr, `orchestrator-cli ${args.join(' ')}`);
          resolve({ code, ...this.#text });
        } catch (error) {
          reject(error);
        }
        for (const watcher of this.#watchers) watcher();
      });
    });
    // Its scope asks at the latest.
    this.ended.catch(() => {});
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  get stdout(): string {
    return this.#text.stdout;
  }

  get stderr(): string {
    return this.#text.stderr;
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** The reader is closed, as after the end of `head`. */
  closeStdout(): void {
    this.#child.stdout?.destroy();
  }

  /** Resolves when the process has printed something that fits. */
  async printed(where: 'stdout' | 'stderr', pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.#text[where]);
      if (match) return match;
      if (this.#child.exitCode !== null || this.#child.signalCode !== null) {
        const { code, stdout, stderr } = await this.ended;
        throw new Error(`ended with ${code} before ${String(pattern)}:\n${stdout}\n${stderr}`);
      }
      await new Promise<void>((resolve) => {
        const watcher = () => {
          this.#watchers.delete(watcher);
          resolve();
        };
        this.#watchers.add(watcher);
      });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill('SIGKILL');
    await this.ended;
  }
}

/** Runs a command to its end. */
export async function cli(args: readonly string[], options: CliOptions = {}): Promise<Ended> {
  await using running = new CliProcess(args, options);
  return await running.ended;
}

/** `dev` or `serve` on a port of its own. */
export interface RunningServer extends AsyncDisposable {
  readonly process: CliProcess;
  readonly url: string;
  /** What a client's process is given. */
  readonly env: Readonly<Record<string, string>>;
}

export async function startServer(args: readonly string[], options: CliOptions = {}): Promise<RunningServer> {
  const flags = ['--json', '--port', '0'];
  const running = new CliProcess([...args, ...flags], { hangsMs: SERVER_HANGS_MS, ...options });
  const [line] = await running.printed('stdout', /^\{.*\}$/m);
  const { url, api_key: apiKey } = JSON.parse(line) as { url: string; api_key?: string };
  return {
    process: running,
    url,
    env: { ORCHESTRATOR_URL: url, ...(apiKey !== undefined && { ORCHESTRATOR_API_KEY: apiKey }) },
    [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
  };
}

/** Each line as JSON. */
export function records(text: string): Record<string, unknown>[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** The only or first line as JSON. */
export function firstRecord(text: string): unknown {
  const [record] = records(text);
  if (!record) throw new Error('expected a line of JSON, got none');
  return record;
}

export interface Folder extends AsyncDisposable {
  readonly path: string;
}

/** An empty folder that is taken away again. */
export async function folder(): Promise<Folder> {
  const path = await mkdtemp(join(tmpdir(), 'orchestrator-cli-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

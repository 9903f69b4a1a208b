import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { askRedis, type AskRedisOptions, type RedisReply } from './ask-redis.js';
import { findRedisServer } from './find-redis-server.js';
import { freePort } from './free-port.js';
import { NeverError, waitFor } from './wait-for.js';
import { WatchedProcess } from './watched-process.js';

export interface RedisServerOptions {
  /** Default: a free one. */
  readonly port?: number;
  /** More arguments of `redis-server`, such as `['--maxmemory', '10mb']`. They override the defaults. */
  readonly args?: readonly string[];
  /** Folder of its files. Default: a temporary folder, which is removed at the end. */
  readonly dir?: string;
  /** Whether writes go to disk every second, so that they survive `kill`. Default false. */
  readonly appendonly?: boolean;
  /** Lines of its configuration file, for settings without an argument. */
  readonly config?: readonly string[];
  /** Default: `findRedisServer()`. */
  readonly program?: string;
}

const READY_MS = 20_000;
const PORT_TRIES = 5;
const ENDING: readonly NodeJS.Signals[] = ['SIGKILL', 'SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGABRT', 'SIGSEGV'];

/**
 * A real Redis on 127.0.0.1. It runs from `start` to `stop` or `kill`, and from `restart` again at the same
 * port with the same files; between `freeze` and `thaw` it runs but does not answer. It ends with this
 * process.
 */
export class RedisServer implements AsyncDisposable {
  readonly port: number;
  readonly dir: string;
  readonly #program: string;
  readonly #args: readonly string[];
  readonly #isTemporary: boolean;
  #process: WatchedProcess | undefined;

  private constructor(options: RedisServerOptions, program: string, port: number, dir: string) {
    this.port = port;
    this.dir = dir;
    this.#program = program;
    this.#isTemporary = options.dir === undefined;
    this.#args = [
      ...(options.config ? [join(dir, 'redis.conf')] : []),
      ...['--port', String(port), '--bind', '127.0.0.1', '--dir', dir, '--save', ''],
      ...['--appendonly', options.appendonly === true ? 'yes' : 'no', '--appendfsync', 'everysec'],
      ...(options.args ?? []),
    ];
  }

  /** Resolves once it answers PING. @throws {Error} with the server's own log. */
  static async start(options: RedisServerOptions = {}): Promise<RedisServer> {
    const program = options.program ?? (await findRedisServer()).server;
    const dir = options.dir ?? (await mkdtemp(join(tmpdir(), 'agent-orchestrator-redis-')));
    await mkdir(dir, { recursive: true });
    if (options.config) await writeFile(join(dir, 'redis.conf'), `${options.config.join('\n')}\n`);
    for (let tries = 1; ; tries += 1) {
      const server = new RedisServer(options, program, options.port ?? (await freePort()), dir);
      try {
        await server.#launch();
        return server;
      } catch (error) {
        const lostTheRace = /address already in use/i.test((error as Error).message);
        if (lostTheRace && options.port === undefined && tries < PORT_TRIES) continue;
        if (options.dir === undefined) await rm(dir, { recursive: true, force: true });
        throw error;
      }
    }
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** `host:port`, the format of Clusters and Sentinels. */
  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** @throws {Error} when it does not run. */
  get pid(): number {
    return this.#running.pid;
  }

  get isRunning(): boolean {
    return this.#process !== undefined && !this.#process.hasEnded;
  }

  /** The end of its log. */
  get log(): string {
    return this.#process?.output ?? '';
  }

  /** Sends one command over a connection of its own, for inspection and settings from outside. */
  ask(command: readonly (string | number)[], options?: AskRedisOptions): Promise<RedisReply> {
    return askRedis(this.port, command, options);
  }

  /** One field of INFO. */
  async info(field: string): Promise<string | undefined> {
    const text = String(await this.ask(['INFO', 'everything']));
    return text
      .split('\r\n')
      .find((line) => line.startsWith(`${field}:`))
      ?.slice(field.length + 1);
  }

  /** Ends it like a crash of its machine. Resolves once it has ended. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    if (ENDING.includes(signal)) await this.#running.end(signal);
    else this.#running.signal(signal);
  }

  /** From now on it answers nothing, and its connections stay. */
  freeze(): void {
    this.#running.signal('SIGSTOP');
  }

  thaw(): void {
    this.#running.signal('SIGCONT');
  }

  /** Starts it again with the same port and files; a running one is stopped first. */
  async restart(): Promise<void> {
    await this.#process?.end('SIGTERM');
    await this.#launch();
  }

  /** Ends it and removes its temporary folder. May be called twice. */
  async stop(): Promise<void> {
    await this.#process?.end('SIGTERM');
    if (this.#isTemporary) await rm(this.dir, { recursive: true, force: true, maxRetries: 3 });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  get #running(): WatchedProcess {
    if (!this.#process || this.#process.hasEnded) throw new Error(`the Redis at ${this.port} does not run`);
    return this.#process;
  }

  async #launch(): Promise<void> {
    const folder = this.#isTemporary ? this.dir : '';
    const child = await WatchedProcess.start(this.#program, this.#args, folder);
    this.#process = child;
    try {
      await waitFor(
        `the Redis at port ${this.port} answers`,
        READY_MS,
        () => this.#answers(child),
        () => logOf(child),
      );
    } catch (error) {
      await child.end('SIGKILL');
      throw error;
    }
  }

  async #answers(child: WatchedProcess): Promise<boolean> {
    const answerTo = (command: readonly string[]) =>
      askRedis(this.port, command, { timeoutMs: 1_000 }).catch((error: Error) => error);
    const ping = await answerTo(['PING']);
    const pid = /process_id:(\d+)/.exec(String(await answerTo(['INFO', 'server'])))?.[1];
    if (child.hasEnded) throw new NeverError(`${this.#program} ended at its start${logOf(child)}`);
    // Two servers got the same free port: the other one answers.
    if (pid !== undefined && Number(pid) !== child.pid) throw new NeverError('Address already in use');
    return isUpBy(ping);
  }
}

/** A server that requires a password is up, too; one that still loads its files is not. */
function isUpBy(answer: RedisReply | Error): boolean {
  if (answer instanceof Error && !/^(?:NOAUTH|DENIED|MASTERDOWN)/.test(answer.message)) throw answer;
  return answer instanceof Error || answer === 'PONG';
}

function logOf(child: WatchedProcess): string {
  return child.output === '' ? '' : `\n${child.output}`;
}

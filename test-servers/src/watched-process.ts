import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { refuseUnhandled } from './unhandled-rejection.js';

type Stdio = [null, Readable, Readable, Writable];

/**
 * Becomes the program, and leaves a watcher behind that holds a pipe to this process, as descriptor 3: a line
 * means that the program has ended, the end of the pipe that this process has. `$1` is a folder to remove
 * then, or nothing.
 */
const WATCHED = `
(
  trap '' INT TERM HUP
  read -r _ <&3 && exit
  kill -9 $$
  [ -z "$1" ] || for _ in 1 2 3; do rm -rf "$1" && break; sleep 0.2; done
) >/dev/null 2>&1 &
shift
exec "$@" 3<&-
`;
const KEPT_OUTPUT = 64 * 1024;
const STOP_MS = 10_000;

/**
 * A program that does not outlive this process, however that ends. It does not keep the event loop alive: an
 * idle process ends, and so does the program.
 */
export class WatchedProcess {
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  readonly #command: string;
  #output = '';

  private constructor(command: string, child: ChildProcess, pid: number) {
    this.#command = command;
    this.#child = child;
    this.pid = pid;
    const [, stdout, stderr, watcher] = child.stdio as unknown as Stdio;
    this.#ended = new Promise((resolve) => {
      child.once('exit', () => {
        watcher.end('ended\n');
        resolve();
      });
    });
    watcher.on('error', () => {});
    for (const stream of [stdout, stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.#output = (this.#output + text).slice(-KEPT_OUTPUT);
      });
    }
    child.unref();
    for (const stream of [stdout, stderr, watcher]) (stream as unknown as Socket).unref();
  }

  /** @param temporaryFolder is removed when this process dies before the program. */
  static async start(
    command: string,
    args: readonly string[],
    temporaryFolder = '',
  ): Promise<WatchedProcess> {
    const child = spawn('/bin/sh', ['-c', WATCHED, 'sh', temporaryFolder, command, ...args], {
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    });
    await once(child, 'spawn');
    if (child.pid === undefined) throw new Error(`${command} has no process`);
    return new WatchedProcess(command, child, child.pid);
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** The end of its output. */
  get output(): string {
    return this.#output;
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** Resolves when it has ended; after `withinMs` it is killed. */
  async end(name: NodeJS.Signals, withinMs = STOP_MS): Promise<void> {
    if (!this.hasEnded) {
      this.#child.kill(name);
      // A frozen process handles no other signal.
      this.#child.kill('SIGCONT');
      const kill = setTimeout(() => this.#child.kill('SIGKILL'), withinMs);
      await this.#ended;
      clearTimeout(kill);
    }
    refuseUnhandled(this.#output, this.#command);
  }
}

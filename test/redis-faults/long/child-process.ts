import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MARKS_REJECTIONS, watchStderr } from '@agent-orchestrator/test-servers';
import type { Entry } from '../fault-history.js';

const UP_MS = 20_000;

export interface ChildSettings {
  readonly program: 'worker' | 'submitter' | 'follower' | 'fair-worker' | 'held-worker';
  readonly name: string;
  readonly dir: string;
  /** Settings of the program itself. */
  readonly options: Readonly<Record<string, unknown>>;
}

/** A program of this folder in a process of its own, whose log outlives it. */
export class Child {
  readonly #process: ChildProcess;
  readonly #log: string;
  readonly #received = new Set<string>();
  readonly #refuseUnhandled: () => void;
  isFrozen = false;

  constructor(readonly settings: ChildSettings) {
    const { program, name, dir, options } = settings;
    this.#log = join(dir, `${name}.jsonl`);
    this.#process = fork(new URL(`programs/${program}.mjs`, import.meta.url).pathname, {
      execArgv: [],
      env: {
        ...process.env,
        ...MARKS_REJECTIONS,
        FAULT_CHILD: JSON.stringify({ ...options, name, log: this.#log }),
      },
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    this.#refuseUnhandled = watchStderr(this.#process.stderr, program);
    this.#process.on('message', (word: string) => this.#received.add(word));
  }

  get hasEnded(): boolean {
    return this.#process.exitCode !== null || this.#process.signalCode !== null;
  }

  /** Resolves once the program has sent a word. */
  async receives(word: string, limitMs = UP_MS): Promise<void> {
    const signal = AbortSignal.timeout(limitMs);
    while (!this.#received.has(word)) {
      if (this.hasEnded) throw new Error(`${this.settings.name} ended before it printed "${word}"`);
      await once(this.#process, 'message', { signal });
    }
  }

  send(word: string): void {
    this.#process.send(word);
  }

  freeze(): void {
    this.isFrozen = true;
    this.#process.kill('SIGSTOP');
  }

  thaw(): void {
    this.isFrozen = false;
    this.#process.kill('SIGCONT');
  }

  async kill(): Promise<void> {
    if (!this.hasEnded) {
      const ended = once(this.#process, 'exit');
      this.#process.kill('SIGKILL');
      await ended;
    }
    this.#refuseUnhandled();
  }

  /** The entries of its log. The last line may be incomplete. */
  async entries(): Promise<Entry[]> {
    const text = await readFile(this.#log, 'utf8').catch(() => '');
    return text
      .split('\n')
      .filter((each) => each.endsWith('}'))
      .map((each) => JSON.parse(each) as Entry);
  }
}

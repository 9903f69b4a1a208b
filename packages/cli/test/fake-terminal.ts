import { PassThrough } from 'node:stream';
import { Terminal } from '../src/terminal/terminal.js';
import type { Screen } from './screen.js';

export interface FakeTerminal {
  readonly terminal: Terminal;
  readonly stdin: PassThrough;
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** Resolves when talk has something that fits. */
  readonly said: (pattern: RegExp) => Promise<void>;
}

/** A terminal under test. `tty`: interactive. */
export function fakeTerminal(
  options: {
    readonly tty?: boolean;
    readonly env?: Readonly<Record<string, string>>;
    readonly columns?: number;
    readonly cwd?: string;
    /** Takes data and talk, instead of the two texts. */
    readonly screen?: Screen | undefined;
  } = {},
): FakeTerminal {
  const { tty = false, env = {}, columns = 80, cwd = process.cwd(), screen } = options;
  const stream = () => Object.assign(new PassThrough(), { isTTY: tty, columns });
  const [stdin, stdout, stderr] = [stream(), stream(), stream()];
  const text = { stdout: '', stderr: '' };
  const watchers = new Set<() => void>();
  stdout.on('data', (chunk: Buffer) => (text.stdout += chunk.toString()));
  stderr.on('data', (chunk: Buffer) => {
    text.stderr += chunk.toString();
    for (const watcher of watchers) watcher();
  });
  return {
    terminal: new Terminal({ stdin, stdout: screen ?? stdout, stderr: screen ?? stderr, env, cwd }),
    stdin,
    stdout: () => text.stdout,
    stderr: () => text.stderr,
    said: (pattern) =>
      new Promise((resolve) => {
        const watcher = () => {
          if (!pattern.test(text.stderr)) return;
          watchers.delete(watcher);
          resolve();
        };
        watchers.add(watcher);
        watcher();
      }),
  };
}

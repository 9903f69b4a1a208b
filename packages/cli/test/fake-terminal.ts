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
  /** Resolves when data has something that fits. */
  readonly printed: (pattern: RegExp) => Promise<void>;
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
  for (const [name, from] of [['stdout', stdout] as const, ['stderr', stderr] as const]) {
    from.on('data', (chunk: Buffer) => {
      text[name] += chunk.toString();
      for (const watcher of watchers) watcher();
    });
  }
  const holds = (name: 'stdout' | 'stderr') => (pattern: RegExp) =>
    new Promise<void>((resolve) => {
      const watcher = () => {
        if (!pattern.test(text[name])) return;
        watchers.delete(watcher);
        resolve();
      };
      watchers.add(watcher);
      watcher();
    });
  return {
    terminal: new Terminal({ stdin, stdout: screen ?? stdout, stderr: screen ?? stderr, env, cwd }),
    stdin,
    stdout: () => text.stdout,
    stderr: () => text.stderr,
    said: holds('stderr'),
    printed: holds('stdout'),
  };
}

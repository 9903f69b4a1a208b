import { setTimeout as sleep } from 'node:timers/promises';
import { Writable } from 'node:stream';
import { Terminal } from '../terminal/terminal.js';
import type { CommandContext } from './command-context.js';

export interface WatchFlags {
  readonly watch?: boolean;
}

const EVERY_MS = 2_000;
/** Cursor to the top, and clears the screen below it. */
const CLEAR = '\u001B[H\u001B[2J';

/** Prints once. @returns whether nothing more is to come. */
type Draw = (context: CommandContext) => Promise<boolean | void>;

/**
 * Prints once, or with `--watch` again every two seconds until Ctrl-C, which is its usual end: in place on a terminal, otherwise
 * and for programs below each other.
 */
export async function watched(context: CommandContext, { watch }: WatchFlags, draw: Draw): Promise<void> {
  if (watch !== true) {
    await draw(context);
    return;
  }
  const { signal } = context;
  try {
    while (!signal.aborted) {
      if (await drawn(context, draw)) return;
      await sleep(EVERY_MS, undefined, { signal });
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

/** Draws over what was there before, at once: what is half fetched is not shown. */
export async function drawn(context: CommandContext, draw: Draw): Promise<boolean> {
  const { terminal } = context;
  if (terminal.json || terminal.stdout.isTTY !== true) return (await draw(context)) === true;
  let text = '';
  const screen = Object.assign(
    new Writable({
      write(chunk: Buffer, _, done) {
        text += chunk.toString();
        done();
      },
    }),
    { isTTY: true, columns: terminal.columns },
  );
  const { stdin, env, cwd } = terminal;
  const isLast = await draw({
    ...context,
    terminal: new Terminal({ stdin, stdout: screen, stderr: screen, env, cwd }),
  });
  terminal.stdout.write(CLEAR + text);
  return isLast === true;
}

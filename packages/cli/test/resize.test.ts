import { PassThrough } from 'node:stream';
import { createInterface } from 'node:readline/promises';
import { describe, expect, it } from 'vitest';
import { ProgressBar } from '../src/print/progress-bar.js';
import { PromptOutput } from '../src/print/prompt-output.js';
import { Terminal } from '../src/terminal/terminal.js';
import { Screen } from './screen.js';

const WORDS = 'blue green red grey white black brown pink'.split(' ');
const LONG = `a question of ${WORDS.join(' ')}`;
const KINDS = [
  ['folds lines anew', true],
  ['cuts lines', false],
] as const;

/** A prompt below an answer, on a screen of 40 columns. */
function promptOn(screen: Screen) {
  const input = new PassThrough();
  const output = new PromptOutput(screen);
  const prompt = createInterface({ input, output, terminal: true, prompt: '> ' });
  output.attach(prompt);
  return {
    output,
    type: async (keys: string) => {
      input.write(keys);
      // The keys are read as they are typed: nothing is left once the last of them is in the line.
      await new Promise<void>((resolve) => input.write('', () => setImmediate(resolve)));
    },
    [Symbol.dispose]: () => {
      output.detach();
      prompt.close();
    },
  };
}

describe.each(KINDS)('a resized terminal that %s', (_, folds) => {
  it.each([10, 20, 39, 41, 200])(
    'keeps an answer whole while it is written, from 40 to %i columns',
    async (columns) => {
      const screen = new Screen({ columns: 40, folds });
      using prompt = promptOn(screen);
      prompt.output.hide();
      for (const word of WORDS.slice(0, 4)) screen.write(`${word} `);
      const before = screen.lines.map((line) => line.slice(0, folds ? undefined : columns));
      screen.resize(columns);
      await prompt.type('typed ahead');
      await prompt.type('\u007F\u007F');
      expect(screen.lines).toEqual(before.map((line) => line.trimEnd()));
      screen.write('\n');
      prompt.output.show();
      expect(screen.lines.slice(0, 1)).toEqual(before.map((line) => line.trimEnd()));
      expect(screen.lines.slice(1).join('')).toBe('> typed ahe');
    },
  );

  it.each([12, 20, 30, 60, 200])(
    'keeps an answer whole above a long line, from 40 to %i columns',
    async (columns) => {
      const screen = new Screen({ columns: 40, folds });
      using prompt = promptOn(screen);
      prompt.output.hide();
      const answer = WORDS.map((word) => word.slice(0, 10));
      screen.write(`${answer.join('\n')}\n`);
      prompt.output.show();
      await prompt.type(LONG);
      screen.resize(columns);
      await prompt.type('!');
      await prompt.type('\u007F');
      expect(screen.lines.slice(0, answer.length)).toEqual(answer);
      expect(screen.lines.join('')).toContain(`> ${LONG}`);
    },
  );

  it('keeps an answer whole above a line typed while it was written, however long', async () => {
    const screen = new Screen({ columns: 20, folds });
    using prompt = promptOn(screen);
    prompt.output.hide();
    screen.write(`${WORDS.join('\n')}\n`);
    await prompt.type(LONG);
    await prompt.type('\u007F');
    prompt.output.show();
    expect(screen.lines.slice(0, WORDS.length)).toEqual(WORDS);
    expect(screen.lines.slice(WORDS.length).join('')).toBe(`> ${LONG.slice(0, -1)}`);
  });

  it.each([12, 20, 39, 41, 200])(
    'keeps the lines above a progress bar whole, from 40 to %i columns',
    (columns) => {
      const screen = new Screen({ columns: 40, folds });
      const terminal = new Terminal({
        stdin: new PassThrough(),
        stdout: screen,
        stderr: screen,
        env: { NO_COLOR: '1' },
        cwd: '.',
      });
      const bar = new ProgressBar(terminal, 3);
      bar.note('kept 1');
      bar.step('a.md');
      screen.resize(columns);
      bar.note('kept 2');
      bar.step('b.md');
      screen.resize(40);
      bar.step('c.md');
      bar.end();
      expect(screen.lines.filter((line) => line.includes('kept'))[0]).toBe('kept 1');
      expect(screen.lines.join('\n')).toContain('kept 2');
      expect(screen.lines.at(-1)).toMatch(/█{28} 3\/3/);
    },
  );
});

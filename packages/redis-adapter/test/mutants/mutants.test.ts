import { describe, expect, it } from 'vitest';
import { Hunt } from './hunt.js';
import { KNOWN_SURVIVORS } from './known-survivors.js';
import { MUTANTS } from './mutants.js';

/** Files to look at, comma-separated; all of them unless given. It takes hours. */
const { MUTANTS_OF } = process.env;
const wanted = MUTANTS_OF?.split(',');

const known = new Set(KNOWN_SURVIVORS.map(([file, line]) => `${file}: ${line}`));

describe('a mistake in a line of a script', () => {
  it('is not known to survive when its line is gone', () => {
    const all = new Set([...MUTANTS.values()].flat().map(({ file, line }) => `${file}: ${line}`));
    expect([...known].filter((name) => !all.has(name))).toEqual([]);
  });

  it('is caught by a case or a history, but for those that are known not to be', async () => {
    await using hunt = new Hunt();
    const survivors: string[] = [];
    const table: Record<string, { readonly mistakes: number; readonly caught: number }> = {};
    for (const [file, mutants] of MUTANTS) {
      if (wanted && !wanted.includes(file)) continue;
      let caught = 0;
      for (const mutant of mutants) {
        const name = `${file}: ${mutant.line}`;
        // What is known to survive takes longest to look for, and is looked for when its list is made anew.
        if (known.has(name)) continue;
        if (await hunt.find(mutant)) caught += 1;
        else survivors.push(name);
      }
      table[file] = { mistakes: mutants.length, caught };
    }
    console.table(table);
    expect(survivors).toEqual([]);
  });
});

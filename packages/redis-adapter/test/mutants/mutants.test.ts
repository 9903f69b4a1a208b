import { describe, expect, it } from 'vitest';
import { Hunt } from './hunt.js';
import { KNOWN_SURVIVORS } from './known-survivors.js';
import { MUTANTS } from './mutants.js';

/** Files to test, comma-separated; default: all, which takes hours. */
const { MUTANTS_OF } = process.env;
const selected = MUTANTS_OF?.split(',');

const known = new Set(KNOWN_SURVIVORS.map(([file, line]) => `${file}: ${line}`));

describe('a mutated line of a script', () => {
  it('is in the list of known survivors only if its line exists', () => {
    const all = new Set([...MUTANTS.values()].flat().map(({ file, line }) => `${file}: ${line}`));
    expect([...known].filter((name) => !all.has(name))).toEqual([]);
  });

  it('is killed by a conformance case or a random history, except for known survivors', async () => {
    await using hunt = new Hunt();
    const survivors: string[] = [];
    const table: Record<string, { readonly mistakes: number; readonly caught: number }> = {};
    for (const [file, mutants] of MUTANTS) {
      if (selected && !selected.includes(file)) continue;
      let caught = 0;
      for (const mutant of mutants) {
        const name = `${file}: ${mutant.line}`;
        // Known survivors take longest; they are tested again when the list is rebuilt.
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

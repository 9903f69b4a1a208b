import { describe, expect, it } from 'vitest';
import { inTurns } from '../src/protocol/loop-turns.js';

/** Work of so many portions, which says each of them. */
function* portions(name: string, count: number, said: string[]): Generator<void, string, void> {
  for (let n = 0; n < count; n += 1) {
    said.push(name);
    if (n < count - 1) yield;
  }
  return name;
}

describe('turns of the event loop', () => {
  it('alternate between owners, whatever their backlog', async () => {
    const said: string[] = [];
    const flood = Array.from({ length: 50 }, () => inTurns(portions('a', 10, said), { share: 'a' }));
    await inTurns(portions('b', 10, said), { share: 'b' });
    expect(said.filter((name) => name === 'b')).toHaveLength(10);
    expect(said.filter((name) => name === 'a').length).toBeLessThanOrEqual(11);
    await Promise.all(flood);
    expect(said).toHaveLength(510);
  });

  it('run sequentially within an owner', async () => {
    const said: string[] = [];
    await Promise.all(['x', 'y', 'z'].map((name) => inTurns(portions(name, 3, said), { share: 'a' })));
    expect(said.join('')).toBe('xxxyyyzzz');
  });

  it('prefer the work nearest to its end', async () => {
    const said: string[] = [];
    const work = (name: string, stage: 'runs' | 'claimed' | 'received') =>
      inTurns(portions(name, 2, said), { share: 'a', stage });
    const first = work('1', 'received');
    await new Promise((resolve) => setImmediate(resolve));
    await Promise.all([first, work('2', 'received'), work('3', 'claimed'), work('4', 'runs')]);
    expect(said.join('')).toBe('11443322');
  });

  it('end for an aborted caller only', async () => {
    const said: string[] = [];
    const giveUp = new AbortController();
    const { signal } = giveUp;
    const given = inTurns(portions('x', 100, said), { share: 'a', signal });
    const other = inTurns(portions('y', 3, said), { share: 'a' });
    await new Promise((resolve) => setImmediate(resolve));
    giveUp.abort(new Error('gone'));
    await expect(given).rejects.toThrow('gone');
    expect(await other).toBe('y');
    expect(said.filter((name) => name === 'x').length).toBeLessThan(5);
  });

  it('never run two portions in one turn, also after an abort in between', async () => {
    const said: string[] = [];
    const giveUp = new AbortController();
    const { signal } = giveUp;
    inTurns(portions('x', 9, said), { signal }).catch(() => undefined);
    giveUp.abort(new Error('gone'));
    const rest = Promise.all([1, 2].map(() => inTurns(portions('y', 5, said))));
    const perTurn: number[] = [];
    for (let turn = 0; turn < 12; turn += 1) {
      const before = said.length;
      await new Promise((resolve) => setImmediate(resolve));
      perTurn.push(said.length - before);
    }
    await rest;
    expect(Math.max(...perTurn)).toBe(1);
    expect(said).toHaveLength(10);
  });

  it('reject with the error of a portion, and continue with the others', async () => {
    const said: string[] = [];
    const failing = inTurns(
      (function* () {
        yield;
        throw new Error('broken');
      })(),
    );
    const other = inTurns(portions('y', 2, said));
    await expect(failing).rejects.toThrow('broken');
    expect(await other).toBe('y');
  });
});

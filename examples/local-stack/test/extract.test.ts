import { describe, expect, test } from 'vitest';
import { extractOf } from '../src/query/extract.js';
import { markdownBlocks } from '../src/query/markdown-blocks.js';

const around = (passage: string, core: string) => ({
  start: passage.indexOf(core),
  end: passage.indexOf(core) + core.length,
});
const extract = (passage: string, core: string, limit = 400, words?: ReadonlySet<string>) =>
  extractOf(passage, around(passage, core), limit, words);

describe('an extract', () => {
  test('is the whole paragraph, without its heading', () => {
    const passage = '## Pause\n\nPuts the queue on hold. Jobs that run go on.\n\nAnother paragraph.';
    expect(extract(passage, 'queue on hold')).toBe('Puts the queue on hold. Jobs that run go on.');
  });

  test('continues where a sentence introduces what follows', () => {
    const passage = 'Call it as follows:\n\n```js\nqueue.pause();\n```\n\nAnd so on.';
    expect(extract(passage, 'as follows')).toBe('Call it as follows:\n\n```js\nqueue.pause();\n```');
  });

  test('of a long code block is the lines around the match, in a fence of their own', () => {
    const lines = Array.from({ length: 60 }, (_, at) => `const line${at} = ${at};`);
    const passage = `\`\`\`ts\n${lines.join('\n')}\n\`\`\``;
    const shown = extract(passage, 'line30 = 30');
    expect(shown).toMatch(/^```ts\n[^`]*const line30 = 30;[^`]*\n```$/);
    expect(shown.split('\n').length).toBeLessThan(15);
  });

  test.each([
    ['begins in code', 'b();\nc();\n```\n\nAfter the code.', 'c();'],
    ['ends in code', 'Before.\n\n```js\na();\nb();', 'b();'],
    ['is nothing but code', 'x\n```\nlet a;\n```\n', 'let a;'],
  ])('closes every fence where the passage %s', (_name, passage, core) => {
    const shown = extract(passage, core);
    expect(shown).toContain(core);
    expect(shown.match(/^```/gm)?.length).toBe(2);
  });

  test('of a table has its header, and of many rows the matching ones', () => {
    const rows = Array.from({ length: 9 }, (_, at) => `| ${at} | meaning${at} |`).join('\n');
    const passage = `| code | meaning |\n| --- | --- |\n${rows}`;
    expect(extract(passage, rows, 400, new Set(['meaning7']))).toBe(
      '| code | meaning |\n| --- | --- |\n| 7 | meaning7 |',
    );
  });

  test('of a list is whole items, moved to the margin', () => {
    const passage = '- `a`: first.\n  - `b`: second,\n    over two lines.\n- `c`: third.';
    expect(extract(passage, 'second')).toBe('- `b`: second,\n  over two lines.');
  });

  test('of a passage that is only a heading is the heading', () => {
    expect(extract('## Support', '## Support')).toBe('## Support');
  });

  test('leaves out images and tags that stand alone', () => {
    expect(extract('<p align="center">\nA library.\n![logo](x.png)', 'A library')).toBe('A library.');
  });
});

test('covers every line with text by exactly one block', () => {
  const passage = '# H\n\ntext\nmore\n\n- a\n- b\n\n| x | y |\n|---|---|\n| 1 | 2 |\n\n~~~\ncode\n~~~\nend';
  const blocks = markdownBlocks(passage);
  expect(blocks.map(({ kind }) => kind)).toEqual(['heading', 'text', 'item', 'item', 'row', 'code', 'text']);
  blocks.reduce((end, block) => {
    expect(block.start).toBeGreaterThanOrEqual(end);
    return block.end;
  }, 0);
});

import * as fc from 'fast-check';
import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { chunksOf } from '../src/ingestion/chunker.js';
import { htmlToMarkdown } from '../src/ingestion/html-text.js';
import { mediaTypeOf } from '../src/index.js';
import { cpuMsOf } from './cpu-time.js';

const words = (count: number, word = 'word') =>
  Array.from({ length: count }, (_, at) => `${word}${at}`).join(' ');

describe('chunks of Markdown', () => {
  test('are cut at headings and have their path', () => {
    const text =
      '# Guide\n\nIntro.\n\n## Install\n\nRun it.\n\n### [Linux](#l) [![Build][img]][url] `x`\n\napt.\n\n## Use\n\nCall it.\n\nTitle\n=====\n\nLast.';
    expect(chunksOf(text, 'text/markdown').map(({ heading, position }) => [position, ...heading])).toEqual([
      [0, 'Guide'],
      [1, 'Guide', 'Install'],
      [2, 'Guide', 'Install', 'Linux x'],
      [3, 'Guide', 'Use'],
      [4, 'Title'],
    ]);
  });

  test('keep code and tables whole, and do not read their lines as headings', () => {
    const code = `\`\`\`sh\n# not a heading\n${words(150)}\n\nmore\n\`\`\``;
    const table = `| a | b |\n| --- | --- |\n${Array.from({ length: 40 }, (_, at) => `| row ${at} | value |`).join('\n')}`;
    const chunks = chunksOf(`# T\n\n${words(100)}\n\n${code}\n\nBetween.\n\n${table}\n`, 'text/markdown');
    expect(chunks.some(({ text }) => text.includes(code))).toBe(true);
    expect(chunks.some(({ text }) => text.includes(table))).toBe(true);
    expect(new Set(chunks.flatMap(({ heading }) => heading))).toEqual(new Set(['T']));
  });

  test('overlap by the last sentence where a section continues', () => {
    const paragraph = (n: number) => `${words(120, `p${n}x`)}. This is the end of part ${n}.`;
    const chunks = chunksOf(`# T\n\n${paragraph(1)}\n\n${paragraph(2)}`, 'text/markdown');
    expect(chunks).toHaveLength(2);
    expect(chunks[1]?.text.startsWith('This is the end of part 1.')).toBe(true);
  });

  test('leave out a table of contents', () => {
    const chunks = chunksOf('# T\n\n- [One](#one)\n  - [Two](#two)\n\n## One\n\nText.', 'text/markdown');
    expect(chunks.map(({ text }) => text)).toEqual(['## One\n\nText.']);
  });

  test('are bounded and literal, and lose no word', () => {
    const line = fc.oneof(
      fc.lorem({ maxCount: 60 }),
      fc.constantFrom(
        '',
        '# One',
        '## Two',
        '```js',
        '```',
        '- item',
        '| a | b |',
        '| - | - |',
        '> quote',
        '---',
      ),
      fc.string({ minLength: 1200, maxLength: 4000 }),
    );
    fc.assert(
      fc.property(fc.array(line, { maxLength: 40 }), (lines) => {
        const text = lines.join('\n');
        const chunks = chunksOf(text, 'text/markdown');
        for (const chunk of chunks) {
          expect(text.includes(chunk.text)).toBe(true);
          expect(chunk.text.length).toBeLessThanOrEqual(2_600);
        }
        const all = chunks.map((chunk) => [...chunk.heading, chunk.text].join(' ')).join(' ');
        for (const lorem of lines.filter((one) => /^[a-z ]+$/i.test(one))) {
          for (const word of lorem.split(' ')) expect(all).toContain(word);
        }
      }),
      { numRuns: 200 },
    );
  });

  test('of a real document have the headings of their sections', async () => {
    const readme = await readFile(new URL('../../../node_modules/ws/README.md', import.meta.url), 'utf8');
    const chunk = chunksOf(readme, 'text/markdown').find(({ text }) => text.includes('x-forwarded-for'));
    expect(chunk?.heading.slice(1)).toEqual(['FAQ', 'How to get the IP address of the client?']);
  });
});

test('chunks of plain text are cut at blank lines', () => {
  const chunks = chunksOf(`# no heading\n${words(150)}\n\n${words(150, 'x')}\r\n\r\nend`, 'text/plain');
  expect(chunks.map(({ heading }) => heading)).toEqual(chunks.map(() => []));
  expect(chunks[0]?.text.startsWith('# no heading')).toBe(true);
  expect(chunks.at(-1)?.text.endsWith('end')).toBe(true);
});

describe('surrogate pairs in chunks', () => {
  const PAIR = '\u{1f600}';

  test.each(['text/plain', 'text/markdown', 'text/html'] as const)('are never cut in %s', (mediaType) => {
    for (const shift of ['', 'x']) {
      for (const count of [400, 900, 3_000, 12_000]) {
        const chunks = chunksOf(`${shift}${PAIR.repeat(count)}`, mediaType);
        const bad = chunks.filter(({ text }) => !text.isWellFormed() || text.includes('\ufffd'));
        expect([shift, count, bad.length, chunks.length > 0]).toEqual([shift, count, 0, true]);
        expect(chunks.map(({ text }) => text).join('')).toBe(`${shift}${PAIR.repeat(count)}`);
      }
    }
  });

  test('are never cut, at any position of any text', () => {
    const unit = fc.constantFrom(PAIR, 'a', '. ', '\n', '\n\n', '\n# ', ' ', '`'.repeat(3), '<', '|');
    fc.assert(
      fc.property(fc.string({ unit, minLength: 200, maxLength: 3_000 }), (text) => {
        for (const { text: chunk, heading } of chunksOf(text, 'text/markdown')) {
          expect(chunk.isWellFormed() && !chunk.includes('\ufffd')).toBe(true);
          expect(heading.every((title) => title.isWellFormed())).toBe(true);
        }
      }),
    );
  });

  test('become U+FFFD if only half of one is there', () => {
    expect(chunksOf('half \ud83d of it', 'text/plain')[0]?.text).toBe('half \ufffd of it');
    const html = chunksOf('<p>half &#xd83d; of it</p>', 'text/html');
    expect(html.every(({ text }) => text.isWellFormed())).toBe(true);
  });
});

describe('chunks of HTML', () => {
  const page = `<!doctype html><html><head><title>T</title><style>p{}</style></head><body>
    <nav><a href="/">Home</a></nav><h1>Guide &amp; more</h1><p>First   <b>bold</b> text.<br>Next line.</p>
    <h2>Code</h2><pre><code>if (a &lt; b) {\n  run();\n}</code></pre>
    <ul><li>one</li><li>two</li></ul><table><tr><th>k</th><th>v</th></tr><tr><td>a</td><td>1</td></tr></table>
    <script>alert('x')</script></body></html>`;

  test('are text with headings, code, lists and tables', () => {
    const text = htmlToMarkdown(page);
    expect(text).toContain('# Guide & more\n\nFirst bold text.\nNext line.');
    expect(text).toContain('```\nif (a < b) {\n  run();\n}\n```');
    expect(text).toContain('- one\n- two');
    expect(text).toContain('| k | v\n| a | 1');
    expect(text).not.toMatch(/alert|Home|p\{\}/);
  });

  test('are cut at its headings', () => {
    expect(chunksOf(page, 'text/html').map(({ heading }) => heading)).toEqual([
      ['Guide & more'],
      ['Guide & more', 'Code'],
    ]);
  });

  test('of endless nesting are refused', () => {
    expect(() => htmlToMarkdown('<div><p>'.repeat(50_000))).toThrow(/nested at most 1000/);
    expect(htmlToMarkdown('<p>a<br><img src="x"><p>b'.repeat(2_000))).toContain('b');
  });

  test('of broken markup contain what can be read', () => {
    expect(htmlToMarkdown('<p>one<div>two</p></pre><li>three')).toContain('three');
  });
});

test.each([
  ['README.md', 'text/markdown'],
  ['docs/a.HTML', 'text/html'],
  ['notes.txt', 'text/plain'],
  ['LICENSE', 'text/plain'],
  ['photo.png', undefined],
  ['.env.json', undefined],
])('the media type of %s follows from its name', (name, type) => {
  expect(mediaTypeOf(name)).toBe(type);
});

test.each<[string, string]>([
  ['spaces in a heading', `# a${' '.repeat(125_000)}x`],
  ['one line', 'a'.repeat(250_000)],
  ['words', 'word '.repeat(50_000)],
  ['paragraphs', 'word\n\n'.repeat(37_500)],
  ['open brackets', '[a\n'.repeat(75_000)],
  ['tags', '<p>a<b>b</b></p>'.repeat(15_000)],
  ['open tags', '<p>word'.repeat(37_500)],
  ['fences', '```\n'.repeat(50_000)],
  ['table rows', '| a | b |\n'.repeat(25_000)],
])('a large document of %s is chunked within a CPU limit', (_name, content) => {
  const types = ['text/markdown', 'text/plain', 'text/html'] as const;
  expect(cpuMsOf(() => types.forEach((type) => chunksOf(content, type)))).toBeLessThan(6_000);
});

test('a chunk does not begin with the end of a code block', () => {
  const prose = (name: string) => `${words(130, name)}.`;
  const text = `# T\n\n${prose('a')}\n\n\`\`\`\ncode\n\`\`\`\n\n${prose('b')}\n\n${prose('c')}`;
  const chunks = chunksOf(text, 'text/markdown');
  expect(chunks.length).toBeGreaterThan(1);
  for (const { text: chunk } of chunks) expect((chunk.match(/^```/gm) ?? []).length % 2).toBe(0);
});

test('a <details> element is a section of its own, until it is closed', () => {
  const text =
    '# T\n\n## FAQ\n\n<details>\n<summary>Is it <b>safe</b>?</summary>\n\nYes.\n\n</details>\n\nAfter it.\n\n## Next\n\nLast.';
  expect(chunksOf(text, 'text/markdown').map(({ heading }) => heading.join(' › '))).toEqual([
    'T › FAQ',
    'T › FAQ › Is it safe?',
    'T › FAQ',
    'T › Next',
  ]);
});

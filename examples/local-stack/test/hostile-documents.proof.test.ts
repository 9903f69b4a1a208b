import { afterAll, expect, test } from 'vitest';
import { cpuMs } from './cpu-time.js';
import { startStack } from './direct-gateway.js';

const stack = startStack();
afterAll(() => stack.stop());

const SIZE = 900_000;
const LONGEST_BLOCK_MS = 1_000;
const manyWords = Array.from({ length: SIZE / 6 }, (_, at) => ((at * 7919) % 100_003).toString(36)).join(' ');
const repeated = (text: string) => text.repeat(Math.ceil(SIZE / text.length)).slice(0, SIZE);

/** Longest blocking of the event loop, ms. */
async function longestBlock(work: () => Promise<unknown>): Promise<number> {
  let longest = 0;
  let last = cpuMs();
  const timer = setInterval(() => {
    longest = Math.max(longest, cpuMs() - last);
    last = cpuMs();
  }, 2);
  try {
    await work();
    await new Promise((resolve) => setTimeout(resolve, 10));
  } finally {
    clearInterval(timer);
  }
  return longest;
}

test.each([
  ['one word', repeated('a')],
  ['different words', manyWords],
  ['pictures in one line', repeated('![a](b) ')],
  ['sentences in one line', repeated('A. ')],
  ['references', repeated('[a]: b\n').slice(0, 600_000)],
  ['paragraphs', repeated('Some words here.\n\n')],
  ['brackets', repeated('[a](')],
])('a large document of %s does not block others, at ingestion and at questions', async (name, content) => {
  const ingesting = await longestBlock(() => stack.ingest(`${name}.md`, content, { tenant: name }));
  expect(ingesting).toBeLessThan(LONGEST_BLOCK_MS);
  const asking = await longestBlock(() =>
    stack.ask('How do I set the default timeout of a?', { tenant: name }),
  );
  expect(asking).toBeLessThan(LONGEST_BLOCK_MS);
});

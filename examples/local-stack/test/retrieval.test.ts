import { readFile } from 'node:fs/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  evaluate,
  statsOf,
  formatEvaluation,
  isGoodEnough,
  readDocuments,
  readQuestions,
  runEvaluation,
} from '../src/evaluation.js';
import { type Answer, startStack } from './direct-gateway.js';

const root = new URL('../../..', import.meta.url).pathname;
const questionsFile = new URL('../eval/questions.json', import.meta.url).pathname;
const stack = startStack();

const GUIDE = `# Robot vacuum

## Cleaning

Press the round button to start a cleaning run. A run on a full charge lasts about 90 minutes.

## Child lock

The child lock keeps small hands from starting the machine. To turn the child lock on, hold both side keys for three seconds.
To turn it off, hold the left side key for five seconds until it beeps twice.

## Filter

Wash the filter every two weeks and let it dry for a day. Replace the filter twice a year.
`;

beforeAll(async () => {
  const questions = await readQuestions(questionsFile);
  for (const { name, content, media_type } of await readDocuments(root, questions)) {
    await stack.ingest(name, content, { media_type });
  }
  await stack.ingest('vacuum.md', GUIDE, { tenant: 'home' });
});

const home = (question: string, ...earlier: string[]) => {
  const messages = earlier.map((content, at) => ({ role: at % 2 === 0 ? 'user' : 'assistant', content }));
  return stack.ask(question, { tenant: 'home', messages });
};

describe('answers from documents', () => {
  test('reach the scores that the evaluation requires, also on held-out questions', async () => {
    const rows = await evaluate(await readQuestions(questionsFile), (question) => stack.ask(question));
    const stats = Object.fromEntries(statsOf(rows).map(({ part, passed, asked }) => [part, passed / asked]));
    const table = formatEvaluation(rows);
    expect(stats['cited'], table).toBeGreaterThanOrEqual(0.7);
    expect(stats['tools'], table).toBe(1);
    expect(stats['unanswerable'], table).toBe(1);
    expect(stats['held out, cited'], table).toBeGreaterThanOrEqual(0.4);
    expect(stats['held out, unanswerable'], table).toBe(1);
  });

  test('quote the document literally, and say that they are extracts', async () => {
    const {
      content,
      sources = [],
      steps,
    } = await stack.ask('How do I make an option mandatory in commander?');
    const readme = await readFile(`${root}/node_modules/commander/Readme.md`, 'utf8');
    expect(sources.length).toBeGreaterThan(0);
    for (const { quote } of sources) expect(readme).toContain(quote);
    expect(content).toMatch(/^Extracts from your documents:\n\n\*\*[^*]+\*\* \[1\]\n\n/);
    expect(content).toContain('.requiredOption()');
    expect(content, 'clients print the sources').not.toMatch(/sources:|Commander\.js › /i);
    expect(steps).toMatchObject([{ service: 'query', model: 'extractive' }]);
  });

  test('work for documents of another kind', async () => {
    const quoteOf = ({ sources }: Answer) => sources?.[0]?.quote ?? '';
    expect(quoteOf(await home('How long can it clean with a full battery charge?'))).toContain('90 minutes');
    expect(quoteOf(await home('How often must the filter be replaced?'))).toContain('twice a year');
  });

  test.each([
    'How do I connect the vacuum to Alexa?',
    'What does a spare brush cost?',
    'Which chemicals clean the windows?',
  ])('say so when the documents have none: %s', async (question) => {
    const { content, sources } = await home(question);
    expect({ content, sources }).toEqual({
      content: 'I did not find an answer in the documents.',
      sources: [],
    });
  });

  test('without any document say how to ingest some', async () => {
    expect((await stack.ask('What is a lease?', { tenant: 'empty' })).content).toMatch(
      /^No documents were ingested yet/,
    );
  });
});

describe('follow-up questions', () => {
  test('take the topic from the question before', async () => {
    const first = await home('What is the child lock for?');
    expect(first.sources?.[0]?.title).toBe('vacuum.md › Robot vacuum › Child lock');
    const then = await home('And how do I turn it off?', 'What is the child lock for?', first.content);
    expect(then.sources?.[0]?.quote).toContain('left side key for five seconds');
  });

  test('take it over more than one turn', async () => {
    const asked = [
      'Tell me about cleaning runs',
      'Extracts from your documents:\n\n**Cleaning** [1]\n\nPress the round button.',
    ];
    const { sources } = await home('how long does it last?', ...asked);
    expect(sources?.[0]?.quote).toContain('90 minutes');
  });

  test('take it in documentation of packages', async () => {
    const first = await stack.ask('How do I limit the concurrency in p-queue?');
    const messages = [
      { role: 'user', content: 'How do I limit the concurrency in p-queue?' },
      { role: 'assistant', content: first.content },
    ];
    const { sources = [] } = await stack.ask('and how do I pause it?', { messages });
    expect(sources.map(({ title }) => title).join()).toMatch(/p-queue[^,]*(?:pause|start)/);
  });

  test('do not mistake numbers of a document for a result', async () => {
    const { steps } = await home(
      'and divided by 3?',
      'How long does a run last?',
      'Extracts from your documents:\n\n**Cleaning** [1]\n\nAbout 90 minutes.',
    );
    expect(steps).not.toMatchObject([{ tool: 'calculator' }]);
  });
});

describe('the document index', () => {
  test('belongs to one tenant', async () => {
    const { sources } = await stack.ask('How do I turn the child lock off?', { tenant: 'acme' });
    expect(sources?.filter(({ title }) => title.startsWith('vacuum'))).toEqual([]);
    const found = await stack.call('query', 'search', { question: 'concurrency in p-queue' }, 'home');
    expect(found).toEqual({ passages: [] });
    const [theirs] = (await stack.call('query', 'list_documents', {}, 'home'))['documents'] as {
      document_id: string;
    }[];
    await expect(
      stack.call('query', 'delete_document', { document_id: theirs?.document_id ?? '' }),
    ).rejects.toMatchObject({ code: 'not_found' });
  });

  test('replaces a document of the same name at once, and drops deleted ones', async () => {
    const tenant = 'replacing';
    const listed = async () =>
      (await stack.call('query', 'list_documents', {}, tenant))['documents'] as {
        document_id: string;
        chunks: number;
      }[];
    const ask = async () =>
      (await stack.ask('What is the port of the server?', { tenant })).sources?.[0]?.quote ?? 'none';
    await stack.ingest('a.md', 'The port of the server is 8080.', { tenant });
    expect(await ask()).toContain('8080');
    await stack.ingest('a.md', 'The port of the server is 9090.', { tenant });
    expect(await ask()).toContain('9090');
    const documents = await listed();
    expect(documents).toMatchObject([{ name: 'a.md', chunks: 1, media_type: 'text/markdown' }]);
    const half = {
      name: 'a.md',
      media_type: 'text/markdown',
      embedding_model: 'm',
      document_id: 'half',
      total: 2,
    };
    const chunk = { position: 0, heading: [], text: 'The port of the server is 1.', vector: [] };
    expect(await stack.call('query', 'index_chunks', { ...half, chunks: [chunk] }, tenant)).toMatchObject({
      complete: false,
    });
    expect(await ask()).toContain('9090');
    await stack.call('query', 'delete_document', { document_id: documents[0]?.document_id ?? '' }, tenant);
    expect(await ask()).toBe('none');
  });

  test('keeps collections apart', async () => {
    const tenant = 'collections';
    const input = (collection: string, content: string) => ({ name: 'a.md', content, collection });
    await stack.call('ingestion', 'ingest_document', input('one', 'The colour of the logo is red.'), tenant);
    await stack.call('ingestion', 'ingest_document', input('two', 'The colour of the logo is blue.'), tenant);
    const answer = await stack.call(
      'query',
      'query',
      { question: 'What colour is the logo?', collection: 'two' },
      tenant,
    );
    expect(answer['sources']).toMatchObject([{ quote: 'The colour of the logo is blue.' }]);
  });

  test('does not return a chunk of an incomplete document', async () => {
    const tenant = 'staging';
    await stack.ingest('other.md', 'The gate opens at nine.', { tenant });
    const half = { document_id: 'h', name: 'h.md', media_type: 'text/markdown', embedding_model: 'm' };
    const chunk = { position: 0, heading: [], text: 'The vault opens at ten.', vector: [] };
    await stack.call('query', 'index_chunks', { ...half, total: 2, chunks: [chunk] }, tenant);
    expect((await stack.ask('When does the vault open?', { tenant })).content).not.toContain('ten');
    const last = { ...chunk, position: 1, text: 'Bring the key.' };
    await stack.call('query', 'index_chunks', { ...half, total: 2, chunks: [last] }, tenant);
    expect((await stack.ask('When does the vault open?', { tenant })).content).toContain('ten');
  });

  test('is searched by words alone without vectors', async () => {
    const tenant = 'lexical';
    const chunk = { position: 0, heading: ['Ports'], text: 'The metrics port is 9464.', vector: [] };
    const document = {
      document_id: 'd',
      name: 'p.md',
      media_type: 'text/markdown',
      embedding_model: 'none',
      total: 1,
    };
    await stack.call('query', 'index_chunks', { ...document, chunks: [chunk] }, tenant);
    expect((await stack.ask('What is the metrics port?', { tenant })).sources?.[0]?.quote).toContain('9464');
  });
});

test('an evaluation below its required scores fails', async () => {
  const printed: string[] = [];
  const questions = await readQuestions(questionsFile);
  const code = await runEvaluation(
    questions,
    async () => ({ content: 'I did not find it.' }),
    (text) => printed.push(text),
  );
  expect(code).toBe(1);
  expect(printed.join('\n')).toContain('unanswerable 3/3');
  expect(isGoodEnough([])).toBe(false);
});

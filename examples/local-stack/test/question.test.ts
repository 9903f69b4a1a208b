import { describe, expect, test } from 'vitest';
import { isDistinctive, namesOf } from '../src/query/document-name.js';
import { readPhrases } from '../src/query/phrases.js';
import { readQuestion } from '../src/query/question.js';
import { synonymsOf } from '../src/query/thesaurus.js';
import { isCommonStem } from '../src/text/common-words.js';
import { sentencesOf } from '../src/text/sentences.js';
import { stem } from '../src/text/stem.js';
import { cpuMsOf } from './cpu-time.js';
import { termsOf } from '../src/text/words.js';

describe('word stems', () => {
  test.each([
    ['configured', 'configuration', 'configures', 'configure'],
    ['lost', 'loses', 'losing', 'lose'],
    ['written', 'wrote', 'writes', 'writing'],
    ['colour', 'colors', 'coloured', 'color'],
    ['serialise', 'serialized', 'serialization', 'serialize'],
    ['cancelled', 'canceled', 'cancelling', 'cancel'],
    ['retries', 'retried', 'retrying', 'retry'],
  ])('of %s and its word family are equal', (...words) => {
    expect(new Set(words.map(stem)).size).toBe(1);
  });

  test.each([
    ['user', 'use'],
    ['error', 'errand'],
    ['hour', 'horror'],
    ['number', 'numb'],
    ['promise', 'promising'],
  ])('of %s are not empty, and short words stay', (word) => {
    expect(stem(word).length).toBeGreaterThan(2);
    expect(stem('api')).toBe('api');
    expect(stem('ipv6')).toBe('ipv6');
  });

  test('of an endless word stay within a CPU limit', () => {
    expect(cpuMsOf(() => termsOf('our'.repeat(100_000)))).toBeLessThan(500);
  });
});

describe('sentence splitting', () => {
  const of = (text: string) => sentencesOf(text).map(({ start, end }) => text.slice(start, end));

  test('keeps the closing marks', () => {
    expect(of('**It is cancelled.** What then? (Nothing.) Well.')).toEqual([
      '**It is cancelled.**',
      'What then?',
      '(Nothing.)',
      'Well.',
    ]);
  });

  test('of a long text keeps all sentences, in place', () => {
    const text = 'One sentence of several words. '.repeat(1_000);
    const spans = sentencesOf(text, 7);
    expect(spans.length).toBeGreaterThanOrEqual(1_000);
    expect(spans.map(({ start, end }) => text.slice(start - 7, end - 7)).join(' ')).toBe(text.trim());
  });
});

describe('the reading of a question', () => {
  test('maps phrases to the terms of documents', () => {
    const { meanings, rest } = readPhrases('How do I get rid of old files?');
    expect(meanings).toEqual(['remove discard clear exclude']);
    expect(rest).not.toContain('rid');
    const terms = readQuestion('How do I turn the cache off?').terms.map(({ term }) => term);
    expect(terms).toEqual(expect.arrayContaining([stem('cache'), stem('disable')]));
  });

  test('finds synonyms, in both directions', () => {
    expect(synonymsOf(stem('picture'))).toContain(stem('image'));
    expect(synonymsOf(stem('image'))).toContain(stem('picture'));
    expect(synonymsOf(stem('zebra')).size).toBe(0);
  });

  test('weighs common words less, and recognises names', () => {
    const { terms } = readQuestion('Can I put my uploads into PostgreSQL with Math.random?');
    const of = (word: string) => terms.find((term) => term.word === word);
    expect(of('postgresql')).toMatchObject({ isName: true, weight: 1 });
    expect(of('put')?.weight).toBeLessThan(0.5);
    expect(of('math')).toMatchObject({ isName: false, isCommon: true });
    expect(isCommonStem(stem('measure'))).toBe(true);
    expect(isCommonStem(stem('bluetooth'))).toBe(false);
  });
});

describe('names of documents', () => {
  test.each([
    ['node_modules/ws/README.md', ['ws']],
    ['node_modules/undici/docs/api/Client.md', ['client', 'undici']],
    ['node_modules/@scope/thing/readme.md', ['thing']],
    ['docs/wire.md', ['wire']],
    ['README.md', ['readme']],
    ['guide', ['guide']],
  ])('of %s are %j', (name, names) => {
    const found = namesOf(name);
    expect([...found].toSorted()).toEqual(name === 'README.md' ? [] : names);
  });

  test('refer to it for certain only by a word with no other meaning', () => {
    expect(isDistinctive('p-queue')).toBe(true);
    expect(isDistinctive('commander')).toBe(true);
    expect(isDistinctive('errors')).toBe(false);
    expect(isDistinctive('error')).toBe(false);
    expect(isDistinctive('help')).toBe(false);
  });
});

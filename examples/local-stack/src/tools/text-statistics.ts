import { isStopWord } from '../text/words.js';
import { sentencesOf } from '../text/sentences.js';

const words = new Intl.Segmenter('en', { granularity: 'word' });
const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });
/** Silent reading speed of an adult (Brysbaert, 2019). */
const WORDS_A_MINUTE = 238;
const MOST_FREQUENT = 5;

/** Counts of a text. Characters are grapheme clusters: an emoji with its modifiers is one. */
export function textStatistics(text: string) {
  const found = Array.from(words.segment(text)).filter(({ isWordLike }) => isWordLike === true);
  const characters = Array.from(graphemes.segment(text), ({ segment }) => segment);
  return {
    characters: characters.length,
    characters_without_spaces: characters.filter((character) => character.trim() !== '').length,
    letters: characters.filter((character) => /\p{L}/u.test(character)).length,
    words: found.length,
    sentences: text.split(/\n\s*\n/).reduce((count, paragraph) => count + sentencesOf(paragraph).length, 0),
    paragraphs: text.split(/\n\s*\n/).filter((paragraph) => paragraph.trim() !== '').length,
    lines: text === '' ? 0 : text.split('\n').length,
    longest_word: found.reduce(
      (longest, { segment }) => (segment.length > longest.length ? segment : longest),
      '',
    ),
    most_frequent_words: mostFrequent(found.map(({ segment }) => segment.toLowerCase())),
    reading_time_seconds: Math.ceil((found.length / WORDS_A_MINUTE) * 60),
  };
}

/** The most frequent words with meaning; of all words, if there are none. */
function mostFrequent(all: readonly string[]): { word: string; count: number }[] {
  const meaningful = all.filter((word) => !isStopWord(word));
  const counts = new Map<string, number>();
  for (const word of meaningful.length > 0 ? meaningful : all) counts.set(word, (counts.get(word) ?? 0) + 1);
  return [...counts]
    .map(([word, count]) => ({ word, count }))
    .toSorted((a, b) => b.count - a.count)
    .slice(0, MOST_FREQUENT);
}

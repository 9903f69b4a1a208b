import { OrchestratorError } from '@agent-orchestrator/core';
import { newToken, validate, listSchema } from '@agent-orchestrator/core/protocol';
import { z } from 'zod';
import { type OperationContext, operation, type ServiceDefinition } from '../service-definition.js';
import { type Chunk, chunksOf } from './chunker.js';
import { knownMediaType, MEDIA_TYPES, type MediaType, mediaTypeOf } from './media-type.js';

/** Texts per call of the embedding service. */
const BATCH = 32;
/** Vector numbers per call: well within the size limit of the wire. */
const NUMBERS_A_CALL = 60_000;
const MAX_CHUNKS = 5_000;

export const documentSchema = z.object({
  /** E.g. `guide.md`. Replaces a document of the same name in the same collection. */
  name: z.string().min(1).max(500),
  /** Default: by the ending of the name. */
  media_type: z.string().max(200).nullish(),
  content: z.string(),
  collection: z.string().min(1).max(200).nullish(),
});
type Document = z.output<typeof documentSchema>;

const embeddedSchema = z.object({
  vectors: listSchema(listSchema(z.number(), { max: 8_192 }), { max: 32 }),
  model: z.string(),
});

/** Ingests documents: `ingest_document {name, media_type, content, collection?} → {document_id, chunks}`. */
export function ingestionService(): ServiceDefinition {
  return {
    name: 'ingestion',
    operations: {
      ingest_document: operation({ input: documentSchema, answers: 'later', run: ingest }),
    },
  };
}

async function ingest(document: Document, context: OperationContext) {
  const mediaType = checkedMediaType(document);
  refuseUnreadable(document);
  context.progress('chunking', { percent: 0 });
  const chunks = chunksOf(document.content, mediaType);
  refuseUnusable(document, chunks);
  const documentId = newToken();
  for (let done = 0; done < chunks.length; done += BATCH) {
    context.signal.throwIfAborted();
    const batch = chunks.slice(done, done + BATCH);
    await indexBatch({ document, documentId, mediaType, total: chunks.length, batch }, context);
    const percent = Math.round((100 * Math.min(chunks.length, done + BATCH)) / chunks.length);
    context.progress('indexing', { percent });
  }
  return { document_id: documentId, chunks: chunks.length };
}

interface Batch {
  readonly document: Document;
  readonly documentId: string;
  readonly mediaType: MediaType;
  readonly total: number;
  readonly batch: readonly Chunk[];
}

/** The index replaces a document once all chunks are staged: an incomplete one is never visible. */
async function indexBatch(
  { document, documentId, mediaType, total, batch }: Batch,
  context: OperationContext,
) {
  const texts = batch.map((chunk) => [...chunk.heading, chunk.text].join('\n'));
  const answer = await context.call('embedding', 'embed', { texts });
  const { vectors, model } = validate(embeddedSchema, answer, 'embedding.embed result', 'invalid_response');
  const perCall = Math.max(1, Math.floor(NUMBERS_A_CALL / Math.max(1, vectors[0]?.length ?? 0)));
  const chunks = batch.map((chunk, at) => ({
    ...chunk,
    heading: [...chunk.heading],
    vector: vectors[at] ?? [],
  }));
  for (let done = 0; done < chunks.length; done += perCall) {
    await context.call('query', 'index_chunks', {
      document_id: documentId,
      name: document.name,
      media_type: mediaType,
      ...(document.collection && { collection: document.collection }),
      total,
      embedding_model: model,
      chunks: chunks.slice(done, done + perCall),
    });
  }
}

function checkedMediaType(document: Document): MediaType {
  const said = document.media_type ?? mediaTypeOf(document.name) ?? 'none';
  const known = knownMediaType(said);
  if (known !== undefined) return known;
  const expected = MEDIA_TYPES.join(', ');
  throw new OrchestratorError(
    'invalid_request',
    `media_type of "${document.name}": expected one of ${expected}, got "${said}"`,
  );
}

function refuseUnreadable({ name, content }: Document): void {
  if (content.trim() === '') {
    throw new OrchestratorError(
      'invalid_request',
      `content of "${name}": expected some text, got an empty document`,
    );
  }
  // oxlint-disable-next-line no-control-regex -- control characters are what tells binary content from text
  const unreadable = content.match(/[\u0000-\u0008\u000E-\u001A\u001C-\u001F\uFFFD]/g)?.length ?? 0;
  if (content.includes('\0') || unreadable > content.length / 100) {
    throw new OrchestratorError('invalid_request', `content of "${name}": expected text, got binary data`);
  }
}

function refuseUnusable({ name }: Document, chunks: readonly Chunk[]): void {
  if (chunks.length === 0) {
    throw new OrchestratorError(
      'invalid_request',
      `content of "${name}": expected text to read, got only headings or markup`,
    );
  }
  if (chunks.length > MAX_CHUNKS) {
    const message = `content of "${name}": expected at most ${MAX_CHUNKS} chunks, got ${chunks.length}`;
    throw new OrchestratorError('payload_too_large', message);
  }
}

import { type ErrorCode, type JsonObject, OrchestratorError } from '@agent-orchestrator/core';
import { cutText, validate, listSchema } from '@agent-orchestrator/core/protocol';
import { z } from 'zod';
import { type OperationContext, operation, type ServiceDefinition } from '../service-definition.js';
import { type Change, TenantState } from '../tenant-state.js';
import { type AnswerWriter, ExtractiveWriter } from './answer-writer.js';
import { entriesOfRemoval, entriesOfStaging, restoringDocuments } from './document-entries.js';
import { DocumentIndex } from './document-index.js';
import { saysNotFound } from './model-writer.js';
import { type Question, readQuestion } from './question.js';
import { ANSWER_COVERAGE, answering, type Finding, retrieve, titleOf } from './retrieval.js';

const collectionSchema = z.string().min(1).max(200);
const DEFAULT_COLLECTION = 'default';
/** Maximum of characters searched of a question. */
const SEARCHED_LENGTH = 4_000;
/** Threshold for a writer that judges findings itself: it gets weaker ones too. */
const WORTH_SHOWING = ANSWER_COVERAGE / 2;

const turnSchema = z.object({ role: z.string().max(50), content: z.string().max(100_000) });
const queryInput = z.object({
  /** Searched by its beginning. */
  question: z.string().trim().min(1).max(100_000),
  messages: listSchema(turnSchema, { max: 500 }).nullish(),
  collection: collectionSchema.nullish(),
  top_k: z.number().int().min(1).max(20).nullish(),
  instructions: z.string().max(20_000).nullish(),
  /** Results of tools, as sentences. */
  facts: listSchema(z.string().max(20_000), { max: 20 }).nullish(),
});
const searchInput = queryInput.pick({ question: true, messages: true, collection: true, top_k: true });
const documentIdSchema = z.string().min(1).max(200);
const indexInput = z.object({
  document_id: documentIdSchema,
  name: z.string().min(1).max(500),
  media_type: z.string().max(200),
  collection: collectionSchema.nullish(),
  embedding_model: z.string().max(200),
  /** Number of chunks of the document, which is visible once all are staged. */
  total: z.number().int().min(1).max(5_000),
  chunks: listSchema(
    z.object({
      position: z.number().int().min(0),
      heading: listSchema(z.string(), { max: 10 }),
      text: z.string().min(1).max(10_000),
      vector: listSchema(z.number(), { max: 8_192 }),
    }),
    { max: 64 },
  ),
});
const embeddedSchema = z.object({
  vectors: listSchema(listSchema(z.number(), { max: 8_192 }), { min: 1, max: 32 }),
});

/** Answers questions from documents, and owns their index. The writer phrases the answers. */
export function queryService(writer: AnswerWriter = new ExtractiveWriter()): ServiceDefinition {
  const indexes = new TenantState({ create: () => new DocumentIndex(), restoring: restoringDocuments });
  return {
    name: 'query',
    state: indexes,
    operations: {
      query: operation({
        input: queryInput,
        answers: 'later',
        run: (input, context) => answer({ indexes, writer }, input, context),
      }),
      search: operation({
        input: searchInput,
        answers: 'at_once',
        async run(input, context) {
          const index = indexes.peek(context.tenant_id);
          const { findings } = await findingsFor(index, { ...input, top_k: input.top_k ?? 5 }, context);
          return { passages: findings.filter(isWorthShowing).map(sourceOf) };
        },
      }),
      index_chunks: operation({
        input: indexInput,
        answers: 'at_once',
        run: (input, context) => indexes.change(context, (index) => indexing(index, input)),
      }),
      list_documents: operation({
        input: z.object({ collection: collectionSchema.nullish() }),
        answers: 'at_once',
        async run({ collection }, { tenant_id }) {
          const all = [...(indexes.peek(tenant_id)?.documents ?? [])];
          const documents = all.filter((document) => !collection || document.collection === collection);
          return {
            documents: documents.map(({ passages, ...document }) => ({
              ...document,
              chunks: passages.length,
            })),
          };
        },
      }),
      delete_document: operation({
        input: z.object({ document_id: documentIdSchema }),
        answers: 'at_once',
        run: ({ document_id }, context) => indexes.change(context, (index) => deleting(index, document_id)),
      }),
    },
  };
}

function indexing(
  index: DocumentIndex,
  { chunks, total, collection, ...document }: z.output<typeof indexInput>,
): Change<JsonObject> {
  const whole = { ...document, collection: collection ?? DEFAULT_COLLECTION };
  const staging = index.planned(whole, chunks, total);
  return {
    entries: staging ? entriesOfStaging(staging) : [],
    apply() {
      if (staging) index.stage(staging);
      const complete = !staging || staging.indexed_at !== undefined;
      return { document_id: document.document_id, complete };
    },
  };
}

function deleting(index: DocumentIndex, documentId: string): Change<JsonObject> {
  const removal = index.removal(documentId);
  if (!removal)
    throw new OrchestratorError('not_found', `document "${documentId}": there is no such document`);
  return {
    entries: entriesOfRemoval(removal),
    apply() {
      index.delete(documentId);
      return { document_id: documentId };
    },
  };
}

async function answer(
  { indexes, writer }: { indexes: TenantState<DocumentIndex>; writer: AnswerWriter },
  input: z.output<typeof queryInput>,
  context: OperationContext,
) {
  const index = indexes.peek(context.tenant_id);
  context.progress('searching');
  const wanted = { ...input, top_k: input.top_k ?? writer.wanted };
  const { findings, hasDocuments } = await findingsFor(index, wanted, context);
  const good = writer.judgesFindings ? findings.filter(isWorthShowing) : answering(findings);
  context.progress('answering', { passages: good.length });
  const text = await writer.write(
    {
      question: input.question,
      messages: input.messages ?? [],
      findings: good,
      facts: input.facts ?? [],
      instructions: input.instructions ?? undefined,
      hasDocuments,
    },
    context,
  );
  const isAnswered = good.length > 0 && !saysNotFound(text);
  return { answer: text, sources: isAnswered ? good.map(sourceOf) : [], model: writer.model };
}

async function findingsFor(
  index: DocumentIndex | undefined,
  input: z.output<typeof searchInput> & { top_k: number },
  context: OperationContext,
): Promise<{ findings: Finding[]; hasDocuments: boolean }> {
  const collection = input.collection ?? undefined;
  if (index === undefined || !index.has(collection)) return { findings: [], hasDocuments: false };
  const question = readQuestion(cutText(input.question, SEARCHED_LENGTH), input.messages ?? []);
  const vector = await vectorOf(question, context);
  const findings = retrieve(index, question, {
    limit: input.top_k,
    ...(vector && { vector }),
    ...(collection !== undefined && { collection }),
  });
  return { findings, hasDocuments: true };
}

const OUTAGES: ReadonlySet<ErrorCode> = new Set([
  'service_unavailable',
  'rate_limited',
  'timeout',
  'not_running',
  'storage_unavailable',
  'queue_full',
]);

/** Without the embedding service the search uses words alone: worse answers are better than none. */
async function vectorOf(
  { expanded }: Question,
  context: OperationContext,
): Promise<readonly number[] | undefined> {
  try {
    const embedded = await context.call('embedding', 'embed', { texts: [cutText(expanded, 8_000)] });
    return validate(embeddedSchema, embedded, 'embedding.embed result', 'invalid_response').vectors[0];
  } catch (error) {
    context.signal.throwIfAborted();
    if (!(error instanceof OrchestratorError) || !OUTAGES.has(error.code)) throw error;
    context.progress('searching by words only, the embedding service is not available');
    return undefined;
  }
}

function isWorthShowing({ quote }: Finding): boolean {
  return quote.coverage >= WORTH_SHOWING;
}

function sourceOf({ passage, quote, score }: Finding) {
  return {
    id: passage.id,
    title: titleOf(passage),
    quote: quote.text,
    score: Math.round(score * 1000) / 1000,
  };
}

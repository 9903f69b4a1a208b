import { listSchema, validate } from '@agent-orchestrator/core/protocol';
import type { EntryChange } from '@agent-orchestrator/core/storage';
import { z } from 'zod';
import type { Restoring } from '../tenant-state.js';
import {
  DocumentIndex,
  type NewDocument,
  type NewPassage,
  type RemovedDocument,
  type Staging,
} from './document-index.js';

const documentSchema = z.object({
  document_id: z.string(),
  name: z.string(),
  media_type: z.string(),
  collection: z.string(),
  embedding_model: z.string(),
  /** Absent until it is complete. */
  indexed_at: z.string().optional(),
});
const chunkSchema = z.object({
  heading: listSchema(z.string(), { max: 10 }),
  text: z.string(),
  /** 32-bit floats, little-endian, in base64. */
  vector: z.base64(),
});

const CHUNK = /^chunk\/(\d+)\/(.+)$/s;
const documentKey = (documentId: string) => `document/${documentId}`;
const chunkKey = (documentId: string, position: number) => `chunk/${position}/${documentId}`;

/** What is stored of staged chunks: an entry for each, and one for their document. */
export function entriesOfStaging({ document, added, indexed_at, removed }: Staging): EntryChange[] {
  const { document_id } = document;
  const about = { ...document, ...(indexed_at !== undefined && { indexed_at }) };
  return [
    ...removed.flatMap(entriesOfRemoval),
    { key: documentKey(document_id), value: about },
    ...added.map(({ position, heading, text, vector }) => ({
      key: chunkKey(document_id, position),
      value: { heading: [...heading], text, vector: packed(vector) },
    })),
  ];
}

export function entriesOfRemoval({ document_id, positions }: RemovedDocument): EntryChange[] {
  return [documentKey(document_id), ...positions.map((at) => chunkKey(document_id, at))].map((key) => ({
    key,
  }));
}

interface StoredDocument {
  readonly document: NewDocument;
  readonly indexed_at: string | undefined;
}

const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

/** Documents of a tenant, complete ones and staged ones. */
export function restoringDocuments(): Restoring<DocumentIndex> {
  const documents: StoredDocument[] = [];
  const chunks = new Map<string, NewPassage[]>();
  return {
    add(key, value) {
      const [, position, documentId] = CHUNK.exec(key) ?? [];
      if (documentId === undefined) {
        const { indexed_at, ...document } = validate(documentSchema, value, 'document', 'internal_error');
        documents.push({ document, indexed_at });
        return;
      }
      const { vector, ...chunk } = validate(chunkSchema, value, 'chunk', 'internal_error');
      const known = chunks.get(documentId) ?? [];
      chunks.set(documentId, known);
      known.push({ ...chunk, position: Number(position), vector: unpacked(vector) });
    },
    async end() {
      const index = new DocumentIndex();
      for (const { document, indexed_at } of documents.toSorted(byTime)) {
        const added = chunks.get(document.document_id) ?? [];
        index.stage({ document, added, indexed_at, removed: [] });
        await nextTurn();
      }
      return index;
    },
  };
}

/** In the order in which they became visible. */
function byTime(a: StoredDocument, b: StoredDocument): number {
  const order = ({ document, indexed_at = '' }: StoredDocument) => `${indexed_at} ${document.document_id}`;
  return order(a) < order(b) ? -1 : 1;
}

function packed(vector: ArrayLike<number>): string {
  return Buffer.from(Float32Array.from(vector).buffer).toString('base64');
}

function unpacked(text: string): Float32Array {
  // A copy, whose memory is aligned.
  return new Float32Array(new Uint8Array(Buffer.from(text, 'base64')).buffer);
}

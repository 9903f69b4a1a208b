import MiniSearch from 'minisearch';
import { refuseBeyond } from '../tenant-state.js';
import { termsOf } from '../text/words.js';
import { synonymsOf } from './synonyms.js';

/** A chunk as it comes in. */
export interface NewPassage {
  readonly position: number;
  readonly heading: readonly string[];
  readonly text: string;
  readonly vector: readonly number[];
}

export interface NewDocument {
  readonly document_id: string;
  readonly name: string;
  readonly media_type: string;
  readonly collection: string;
  readonly embedding_model: string;
}

/** A chunk of an indexed document. */
export interface Passage {
  /** `<document id>:<position>`. */
  readonly id: string;
  readonly document: NewDocument;
  readonly heading: readonly string[];
  readonly text: string;
  readonly vector: Float32Array;
  readonly nameTerms: ReadonlySet<string>;
  /** Terms of the document's name and the headings. */
  readonly titleTerms: ReadonlySet<string>;
  readonly terms: ReadonlySet<string>;
}

export interface IndexedDocument extends NewDocument {
  readonly passages: readonly Passage[];
  readonly indexed_at: string;
}

export interface RankedPassage {
  readonly passage: Passage;
  /** 1 for first in both rankings, towards 0. */
  readonly rank: number;
}

export interface IndexSearch {
  /** Term → weight. */
  readonly terms: ReadonlyMap<string, number>;
  readonly vector: readonly number[] | undefined;
  readonly collection: string | undefined;
  readonly limit: number;
}

/** Documents a tenant may have. */
export const MAX_DOCUMENTS = 2_000;
const MAX_PASSAGES = 50_000;
const MAX_STAGED = 20;
/** How fast a reciprocal rank falls (Cormack et al., 2009). */
const RANK_CONSTANT = 60;
const VECTOR_SHARE = 0.5;
/** As if this many passages about other things were there: keeps word weights sensible while there are few. */
const PRIOR_PASSAGES = 50;

/**
 * The documents of one tenant. A document is staged chunk by chunk and appears at once when it is complete, in place of
 * the one of the same name and collection.
 */
export class DocumentIndex {
  readonly #documents = new Map<string, IndexedDocument>();
  readonly #passages = new Map<string, Passage>();
  readonly #staged = new Map<string, Map<number, NewPassage>>();
  readonly #frequency = new Map<string, number>();
  readonly #words = new MiniSearch<{ id: string; name: string; heading: string; text: string }>({
    fields: ['name', 'heading', 'text'],
    tokenize: termsOf,
    processTerm: (term) => term,
  });

  get documents(): IterableIterator<IndexedDocument> {
    return this.#documents.values();
  }

  has(collection: string | undefined): boolean {
    if (collection === undefined) return this.#documents.size > 0;
    return [...this.documents].some((document) => document.collection === collection);
  }

  knows(term: string): boolean {
    return this.#frequency.has(term);
  }

  /** Whether a term names one document among others, as `guide` names `guide.md`. */
  isDocumentName(term: string): boolean {
    const named = [...this.#documents.values()].filter(
      ({ passages }) => passages[0]?.nameTerms.has(term) === true,
    ).length;
    return named > 0 && named <= Math.max(1, this.#documents.size / 2);
  }

  /** How much a term tells passages apart: inverse document frequency as in BM25, smoothed for small collections. */
  informationOf(term: string): number {
    const frequency = this.#frequency.get(term) ?? 0;
    const total = this.#passages.size + PRIOR_PASSAGES;
    return Math.log(1 + (total - frequency + 0.5) / (frequency + 0.5));
  }

  /**
   * Stages chunks of a document; with the last of `total` it takes its place. Staging a chunk again changes nothing.
   *
   * @returns whether the document is complete.
   * @throws {OrchestratorError} `budget_exceeded` at the limit of documents or chunks.
   */
  stage(document: NewDocument, passages: readonly NewPassage[], total: number): boolean {
    if (this.#documents.has(document.document_id)) return true;
    const replaces = this.#named(document);
    if (replaces === undefined) refuseBeyond(this.#documents.size, MAX_DOCUMENTS, 'documents');
    const room = MAX_PASSAGES + (replaces?.passages.length ?? 0);
    refuseBeyond(this.#passages.size + total - 1, room, 'chunks of documents');
    const staged = this.#staged.get(document.document_id) ?? new Map<number, NewPassage>();
    for (const passage of passages) staged.set(passage.position, passage);
    this.#staged.set(document.document_id, staged);
    const isComplete = staged.size >= total;
    if (isComplete) {
      if (replaces !== undefined) this.delete(replaces.document_id);
      this.#add(document, [...staged.values()]);
    }
    for (const id of this.#staged.keys()) {
      if (this.#staged.size > MAX_STAGED || id === (isComplete && document.document_id))
        this.#staged.delete(id);
    }
    return isComplete;
  }

  /** Whether there was such a document. */
  delete(documentId: string): boolean {
    const document = this.#documents.get(documentId);
    if (document === undefined) return false;
    this.#documents.delete(documentId);
    for (const passage of document.passages) {
      this.#passages.delete(passage.id);
      this.#words.discard(passage.id);
      this.#count(passage, -1);
    }
    return true;
  }

  /** The passages that fit best by words and by vector, fused by reciprocal rank. */
  search({ terms, vector, collection, limit }: IndexSearch): RankedPassage[] {
    const fused = new Map<Passage, number>();
    const add = (passages: readonly Passage[], share: number) => {
      passages.forEach((passage, at) => {
        fused.set(
          passage,
          (fused.get(passage) ?? 0) + (share * (RANK_CONSTANT + 1)) / (RANK_CONSTANT + 1 + at),
        );
      });
    };
    const nearest = vector === undefined ? [] : this.#nearest(vector, collection, limit);
    add(this.#matching(terms, collection, limit), nearest.length > 0 ? 1 - VECTOR_SHARE : 1);
    add(nearest, VECTOR_SHARE);
    return [...fused]
      .map(([passage, rank]) => ({ passage, rank }))
      .toSorted((a, b) => b.rank - a.rank)
      .slice(0, limit);
  }

  #matching(terms: ReadonlyMap<string, number>, collection: string | undefined, limit: number): Passage[] {
    const weights = new Map(terms);
    for (const [term, weight] of terms) {
      for (const other of synonymsOf(term)) {
        if (this.knows(other) && !weights.has(other)) weights.set(other, weight * 0.4);
      }
    }
    const found = this.#words.search([...weights.keys()].join(' '), {
      tokenize: (text) => text.split(' '),
      boost: { heading: 2, name: 1.5 },
      boostTerm: (term) => weights.get(term) ?? 1,
      prefix: (term) => term.length > 4 && terms.has(term),
      fuzzy: (term) => (term.length > 5 && terms.has(term) && !this.knows(term) ? 0.2 : false),
      filter: ({ id }) =>
        collection === undefined || this.#passages.get(id)?.document.collection === collection,
    });
    return found.slice(0, limit).flatMap(({ id }) => this.#passages.get(id) ?? []);
  }

  #nearest(vector: readonly number[], collection: string | undefined, limit: number): Passage[] {
    const near: { passage: Passage; similarity: number }[] = [];
    for (const passage of this.#passages.values()) {
      if (passage.vector.length !== vector.length) continue;
      if (collection !== undefined && passage.document.collection !== collection) continue;
      const similarity = passage.vector.reduce((sum, value, at) => sum + value * (vector[at] ?? 0), 0);
      if (similarity > 0) near.push({ passage, similarity });
    }
    return near
      .toSorted((a, b) => b.similarity - a.similarity)
      .slice(0, limit)
      .map(({ passage }) => passage);
  }

  #named({ name, collection }: NewDocument): IndexedDocument | undefined {
    return [...this.documents].find((there) => there.name === name && there.collection === collection);
  }

  #add(document: NewDocument, chunks: readonly NewPassage[]): void {
    const passages = chunks
      .toSorted((a, b) => a.position - b.position)
      .map(({ position, heading, text, vector }) => ({
        id: `${document.document_id}:${position}`,
        document,
        heading,
        text,
        vector: Float32Array.from(vector),
        nameTerms: new Set(termsOf(document.name)),
        titleTerms: new Set([document.name, ...heading].flatMap(termsOf)),
        terms: new Set(termsOf(text)),
      }));
    for (const passage of passages) {
      this.#passages.set(passage.id, passage);
      const { id, text } = passage;
      this.#words.add({ id, name: document.name, heading: passage.heading.join('\n'), text });
      this.#count(passage, 1);
    }
    this.#documents.set(document.document_id, {
      ...document,
      passages,
      indexed_at: new Date().toISOString(),
    });
  }

  #count({ terms, titleTerms }: Passage, by: 1 | -1): void {
    for (const term of new Set([...terms, ...titleTerms])) {
      const count = (this.#frequency.get(term) ?? 0) + by;
      if (count > 0) this.#frequency.set(term, count);
      else this.#frequency.delete(term);
    }
  }
}

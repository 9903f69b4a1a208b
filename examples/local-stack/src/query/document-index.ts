import MiniSearch from 'minisearch';
import { refuseBeyond } from '../tenant-state.js';
import { termsOf } from '../text/words.js';
import { namesOf } from './document-name.js';
import { type Unit, unitsOf } from './passage-units.js';
import { synonymsOf } from './thesaurus.js';

/** A chunk to stage. */
export interface NewPassage {
  readonly position: number;
  readonly heading: readonly string[];
  readonly text: string;
  readonly vector: ArrayLike<number>;
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
  readonly position: number;
  readonly document: NewDocument;
  readonly heading: readonly string[];
  readonly text: string;
  readonly vector: Float32Array;
  /** Names of its document, in lower case. */
  readonly names: ReadonlySet<string>;
  /** Terms of the document's name and the headings. */
  readonly titleTerms: ReadonlySet<string>;
  readonly terms: ReadonlySet<string>;
}

export interface IndexedDocument extends NewDocument {
  readonly passages: readonly Passage[];
  readonly indexed_at: string;
}

/** What staging chunks of a document changes. */
export interface Staging {
  readonly document: NewDocument;
  readonly added: readonly NewPassage[];
  /** Time at which the document becomes visible: it is complete. */
  readonly indexed_at: string | undefined;
  /** Documents that go: the one that it replaces, or one that was staged too long ago. */
  readonly removed: readonly RemovedDocument[];
}

/** A document that goes, with the positions of its chunks. */
export interface RemovedDocument {
  readonly document_id: string;
  readonly positions: readonly number[];
}

export interface RankedPassage {
  readonly passage: Passage;
  /** 1 for the first in both rankings, towards 0. */
  readonly rank: number;
}

export interface IndexSearch {
  /** Term → weight. */
  readonly terms: ReadonlyMap<string, number>;
  readonly vector: readonly number[] | undefined;
  readonly collection: string | undefined;
  readonly limit: number;
}

/** Maximum of documents of a tenant. */
const MAX_DOCUMENTS = 2_000;
const MAX_PASSAGES = 50_000;
const MAX_STAGED = 20;
/** Maximum of passages with cached units. */
const MAX_KEPT_UNITS = 1_000;
/** Decay of a reciprocal rank (Cormack et al., 2009). */
const RANK_CONSTANT = 60;
/** Weight of vectors beside words: hashed ones, which have no meaning, count less. */
const VECTOR_SHARE = { hashed: 0.25, meaning: 0.5 } as const;
/** Assumed number of passages on other topics: stabilises word weights in a small index. */
const PRIOR_PASSAGES = 50;

/** Number of passages at which `breadth` is one half. */
const BROAD = 100;

/**
 * Documents of one tenant. A document is staged chunk by chunk and becomes visible at once when complete,
 * replacing the one of the same name and collection.
 */
export class DocumentIndex {
  readonly #documents = new Map<string, IndexedDocument>();
  readonly #passages = new Map<string, Passage>();
  readonly #staged = new Map<string, Map<number, Passage>>();
  readonly #units = new Map<Passage, readonly Unit[]>();
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

  /** Units of a passage; cached for the most recently used passages. */
  unitsOf(passage: Passage): readonly Unit[] {
    const units = this.#units.get(passage) ?? unitsOf(passage.text);
    this.#units.delete(passage);
    this.#units.set(passage, units);
    for (const oldest of this.#units.keys()) {
      if (this.#units.size <= MAX_KEPT_UNITS) break;
      this.#units.delete(oldest);
    }
    return units;
  }

  /** The passages before and after one, under the same heading. */
  neighboursOf({ document, position, heading }: Passage): Passage[] {
    const passages = this.#documents.get(document.document_id)?.passages ?? [];
    return [passages[position - 1], passages[position + 1]].filter(
      (other) => other !== undefined && other.heading.join('\n') === heading.join('\n'),
    ) as Passage[];
  }

  /** Significance of a word's absence from all documents: 0 for few passages, towards 1 for many. */
  get breadth(): number {
    return this.#passages.size / (this.#passages.size + BROAD);
  }

  knows(term: string): boolean {
    return this.#frequency.has(term);
  }

  /** Words of a question that name some of several documents, as `guide` names `guide.md`. */
  documentNamesIn(words: ReadonlySet<string>): string[] {
    const counts = new Map<string, number>();
    for (const { passages } of this.#documents.values())
      for (const word of passages[0]?.names ?? [])
        if (words.has(word)) counts.set(word, (counts.get(word) ?? 0) + 1);
    const most = Math.max(1, this.#documents.size / 2);
    return [...counts].filter(([, count]) => count <= most).map(([word]) => word);
  }

  /** Selectivity of a term: inverse document frequency as in BM25, smoothed for small collections. */
  informationOf(term: string): number {
    const frequency = this.#frequency.get(term) ?? 0;
    const total = this.#passages.size + PRIOR_PASSAGES;
    return Math.log(1 + (total - frequency + 0.5) / (frequency + 0.5));
  }

  /**
   * What staging chunks of a document changes; the last of `total` makes it visible. `undefined`: it is complete already.
   * Idempotent per chunk.
   *
   * @throws {OrchestratorError} `budget_exceeded` at the limit of documents or chunks.
   */
  planned(document: NewDocument, passages: readonly NewPassage[], total: number): Staging | undefined {
    if (this.#documents.has(document.document_id)) return undefined;
    const replaces = this.#named(document);
    if (replaces === undefined) refuseBeyond(this.#documents.size, MAX_DOCUMENTS, 'documents');
    const room = MAX_PASSAGES + (replaces?.passages.length ?? 0);
    refuseBeyond(this.#passages.size + total - 1, room, 'chunks of documents');
    const staged = this.#staged.get(document.document_id);
    const added = new Map<number, NewPassage>();
    for (const passage of passages) {
      const isKnown = staged?.has(passage.position) === true || added.has(passage.position);
      if (!isKnown) added.set(passage.position, passage);
    }
    const isComplete = (staged?.size ?? 0) + added.size >= total;
    const removed = isComplete ? replaces && [removedOf(replaces)] : this.#tooOldBeside(document);
    const indexed_at = isComplete ? new Date().toISOString() : undefined;
    return { document, added: [...added.values()], indexed_at, removed: removed ?? [] };
  }

  /** Stages what was planned. */
  stage({ document, added, indexed_at, removed }: Staging): void {
    const id = document.document_id;
    const staged = this.#staged.get(id) ?? new Map<number, Passage>();
    // At the end: the one that was staged last.
    this.#staged.delete(id);
    for (const passage of added) staged.set(passage.position, this.#prepare(document, passage));
    for (const { document_id } of removed) this.delete(document_id);
    if (indexed_at === undefined) this.#staged.set(id, staged);
    else this.#show(document, [...staged.values()], indexed_at);
  }

  /** The document with the positions of its chunks; `undefined` if there is none, or it is not complete. */
  removal(documentId: string): RemovedDocument | undefined {
    const document = this.#documents.get(documentId);
    return document && removedOf(document);
  }

  /** Deletes a document, complete or not. */
  delete(documentId: string): void {
    const document = this.#documents.get(documentId);
    const passages = document?.passages ?? this.#staged.get(documentId)?.values() ?? [];
    this.#documents.delete(documentId);
    this.#staged.delete(documentId);
    for (const passage of passages) {
      this.#words.discard(passage.id);
      this.#units.delete(passage);
      // One that was not visible is not counted.
      if (this.#passages.delete(passage.id)) this.#count(passage, -1);
    }
  }

  /** Best passages by words and by vector, fused by reciprocal rank. */
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
    const isHashed = nearest[0]?.document.embedding_model.startsWith('hashed') === true;
    const share = nearest.length === 0 ? 0 : VECTOR_SHARE[isHashed ? 'hashed' : 'meaning'];
    add(this.#matching(terms, collection, limit), 1 - share);
    add(nearest, share);
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
      filter: ({ id }) => this.#isVisible(this.#passages.get(id), collection),
    });
    return found.slice(0, limit).flatMap(({ id }) => this.#passages.get(id) ?? []);
  }

  /** The word index also has chunks of incomplete documents. */
  #isVisible(passage: Passage | undefined, collection: string | undefined): boolean {
    return passage !== undefined && (collection === undefined || passage.document.collection === collection);
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

  /** Staged documents beyond the limit, beside this one. */
  #tooOldBeside({ document_id: own }: NewDocument): RemovedDocument[] {
    const others = [...this.#staged].filter(([id]) => id !== own);
    return others
      .slice(0, Math.max(0, others.length + 1 - MAX_STAGED))
      .map(([document_id, passages]) => ({ document_id, positions: [...passages.keys()] }));
  }

  #named({ name, collection }: NewDocument): IndexedDocument | undefined {
    return [...this.documents].find((there) => there.name === name && there.collection === collection);
  }

  /** Adds a chunk to the word index at once, so that completing the document is quick. */
  #prepare(document: NewDocument, { position, heading, text, vector }: NewPassage): Passage {
    const passage = {
      id: `${document.document_id}:${position}`,
      position,
      document,
      heading,
      text,
      vector: Float32Array.from(vector),
      names: namesOf(document.name),
      titleTerms: new Set([document.name, ...heading].flatMap(termsOf)),
      terms: new Set(termsOf(text)),
    };
    this.#words.add({ id: passage.id, name: document.name, heading: heading.join('\n'), text });
    return passage;
  }

  #show(document: NewDocument, prepared: readonly Passage[], indexed_at: string): void {
    const passages = prepared.toSorted((a, b) => a.position - b.position);
    for (const passage of passages) {
      this.#passages.set(passage.id, passage);
      this.#count(passage, 1);
    }
    this.#documents.set(document.document_id, {
      ...document,
      passages,
      indexed_at,
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

function removedOf({ document_id, passages }: IndexedDocument): RemovedDocument {
  return { document_id, positions: passages.map(({ position }) => position) };
}

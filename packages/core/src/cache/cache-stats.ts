/** Numbers of one kind of cached values, in this process. */
export interface CacheKindStats {
  /** Answers from the cache, or from the computation of another caller. */
  readonly hits: number;
  /** Computations. */
  readonly misses: number;
  readonly savedTokens: number;
}

/** Kinds that are counted; further ones are summed under `other`. */
const MAX_KINDS = 100;
const OTHER = 'other';

/** Counters by kind, without tenants. */
export class CacheStats {
  readonly #kinds = new Map<string, { -readonly [K in keyof CacheKindStats]: number }>();

  hit(kind: string, savedTokens: number): void {
    const counts = this.#of(kind);
    counts.hits += 1;
    counts.savedTokens += savedTokens;
  }

  missed(kind: string): void {
    this.#of(kind).misses += 1;
  }

  /** By kind. */
  get all(): Readonly<Record<string, CacheKindStats>> {
    return Object.fromEntries([...this.#kinds].map(([kind, counts]) => [kind, { ...counts }]));
  }

  #of(kind: string) {
    const name = this.#kinds.has(kind) || this.#kinds.size < MAX_KINDS ? kind : OTHER;
    const counts = this.#kinds.get(name) ?? { hits: 0, misses: 0, savedTokens: 0 };
    this.#kinds.set(name, counts);
    return counts;
  }
}

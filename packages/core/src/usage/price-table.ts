import { z } from 'zod';
import type { Usage } from '../protocol/usage.js';

/** Prices of a model for a million tokens, in any unit of money; all models of a table in the same one. */
export interface ModelPrice {
  /** Tokens of prompts; also of usage that does not tell prompt and completion apart. */
  readonly prompt: number;
  /** Default: that of prompts. */
  readonly completion?: number | undefined;
  /** Tokens of prompts that the provider had cached. Default: that of prompts. */
  readonly cached?: number | undefined;
}

/** Prices by the model that services report; `*` is for all others. */
export type PriceTable = Readonly<Record<string, ModelPrice>>;

const MILLION = 1_000_000;
const MAX_MODELS = 10_000;

const priceSchema = z.number('expected a price, 0 or more').min(0).max(1e9);
/** Schema of a `PriceTable`. */
export const priceTableSchema = z
  .record(
    z.string().min(1).max(200),
    z.strictObject({
      prompt: priceSchema,
      completion: priceSchema.optional(),
      cached: priceSchema.optional(),
    }),
    'expected prices by model',
  )
  .refine((table) => Object.keys(table).length <= MAX_MODELS, `expected at most ${MAX_MODELS} models`);

/** Puts a price on usage. */
export class Prices {
  readonly #table: ReadonlyMap<string, ModelPrice>;

  constructor(table: PriceTable = {}) {
    this.#table = new Map(Object.entries(table));
  }

  /** With its cost, if the model has a price. */
  priced<U extends Usage>(usage: U): U {
    const price = this.#table.get(usage.model) ?? this.#table.get('*');
    if (!price) return usage;
    const cost = costOf(usage, price);
    return cost > 0 ? { ...usage, cost } : usage;
  }
}

function costOf(usage: Usage, { prompt, completion = prompt, cached = prompt }: ModelPrice): number {
  const { tokens, prompt_tokens: given, completion_tokens, cached_tokens: fromCache = 0 } = usage;
  // What is not told is the rest; usage without parts is a prompt.
  const completed = completion_tokens ?? (given === undefined ? 0 : Math.max(0, tokens - given));
  const prompted = given ?? Math.max(0, tokens - completed);
  // Cached tokens are part of the prompt.
  const ofCache = Math.min(fromCache, prompted);
  return ((prompted - ofCache) * prompt + ofCache * cached + completed * completion) / MILLION;
}

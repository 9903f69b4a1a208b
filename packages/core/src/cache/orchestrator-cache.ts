import { z } from 'zod';
import { idSchema, labelSchema } from '../protocol/ids.js';
import type { JsonValue } from '../protocol/json.js';
import { DEFAULTS } from '../protocol/settings.js';
import { messageOf } from '../protocol/thrown.js';
import { validate } from '../protocol/validation.js';
import { atMost, type Clock } from '../runtime/clock.js';
import type { Logger } from '../runtime/logger.js';
import type { Random } from '../runtime/random.js';
import type { Storage } from '../storage/storage.js';
import { cacheDigest } from './cache-key.js';
import { ComputedValue } from './cached-value.js';
import type { CachedValues } from './cached-values.js';
import type { Computed } from './computation.js';

/** A value with what it has cost. */
export interface ValueWithCost<V> {
  readonly value: V;
  /** Default 0. */
  readonly tokens?: number | undefined;
  /** Of the tokens. At most 200 characters. */
  readonly model?: string | undefined;
}

/** Options of a part of a computation. */
export interface ComputeOptions {
  /** Fires when nothing waits for the value any more. */
  readonly signal: AbortSignal;
}

/** What `getWithCacheAside` is asked for. */
export interface CacheAsideRequest<V = JsonValue> {
  readonly tenant: string;
  /** What kind of value it is, such as `summary`: part of the key, and label of the metrics. 1 to 130 letters, digits, `_`, `.`, `-`. */
  readonly kind: string;
  /** All that the value depends on: JSON of at most 1 MiB. The order of the keys of objects does not matter. */
  readonly key: unknown;
  /** Documents that the value depends on, for `invalidate`; part of the key. */
  readonly collection?: string | undefined;
  /** The session that the value belongs to. No part of the key. */
  readonly sessionId?: string | undefined;
  /** Lifetime, ms: at most 30 days. Default 24 h. */
  readonly ttlMs?: number | undefined;
  /** Looks in a store of the application, before `generate`; `undefined` when it has nothing. Its value is cached too. */
  readonly load?: (
    options: ComputeOptions,
  ) => Promise<ValueWithCost<V> | undefined> | ValueWithCost<V> | undefined;
  /** Ends the wait of this caller. */
  readonly signal?: AbortSignal | undefined;
}

/** Makes a value that is not cached. */
export type Generate<V = JsonValue> = (
  options: ComputeOptions,
) => Promise<ValueWithCost<V>> | ValueWithCost<V>;

/** Answer of `getWithCacheAside`. */
export interface CacheAsideAnswer<V = JsonValue> {
  readonly value: V;
  readonly metrics: {
    /** `cache`: stored, or just computed for another caller, here or in another process. */
    readonly hit: 'cache' | 'load' | 'generated';
    /** What the value has cost: with `cache`, tokens that were saved. */
    readonly tokens: number;
    readonly model: string | undefined;
  };
}

/** What `invalidate` removes: all of the tenant, or what has the given fields. */
export interface InvalidateRequest {
  readonly tenant: string;
  readonly collection?: string | undefined;
  readonly kind?: string | undefined;
  readonly sessionId?: string | undefined;
}

const KIND = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,129}$/;
const kindSchema = z
  .string()
  .regex(KIND, 'expected 1 to 130 letters, digits, "_", "." or "-", beginning with a letter or digit');
const functionSchema = <F>() => z.custom<F>((value) => typeof value === 'function', 'expected a function');
const aboutSchema = z.object({
  tenant: idSchema,
  collection: labelSchema(200).optional(),
  sessionId: idSchema.optional(),
});
const requestSchema = aboutSchema.extend({
  kind: kindSchema,
  ttlMs: z.int().min(1).max(DEFAULTS.maxTaskTimeoutMs).default(DEFAULTS.cacheTtlMs),
  load: functionSchema<NonNullable<CacheAsideRequest['load']>>().optional(),
});
const invalidateSchema = aboutSchema.extend({ kind: kindSchema.optional() });
const costSchema = z.object({
  tokens: z.number().min(0).max(Number.MAX_SAFE_INTEGER).default(0),
  model: labelSchema(200).optional(),
});

/** Additions to the usage ledger that may be under way; an answer waits for those beyond. */
const MAX_ADDING = 1_000;
const STOP_MS = 2_000;

/** Values that are computed once for all processes of a storage, and kept for a while. */
export class OrchestratorCache {
  readonly #adding = new Set<Promise<void>>();

  constructor(
    private readonly parts: {
      readonly values: CachedValues;
      readonly storage: Storage;
      readonly clock: Clock;
      readonly random: Random;
      readonly logger: Logger;
    },
  ) {}

  /**
   * A cached value; else that of `load`, if it has one; else what `generate` makes. Concurrent callers with the same key compute
   * once, over all processes of the storage: one computes, the others wait for its value. When it fails its own call rejects, and
   * the next caller computes. Without the storage the value is made without the cache. Values above 1 MiB are not kept.
   *
   * @throws {OrchestratorError} `invalid_request`, `payload_too_large` for a key above 1 MiB, `timeout` after 15 minutes; else what
   *   `load` or `generate` throws, or the reason of `signal`.
   */
  async getWithCacheAside<V extends JsonValue = JsonValue>(
    request: CacheAsideRequest<V>,
    generate: Generate<V>,
  ): Promise<CacheAsideAnswer<V>> {
    const { key, signal } = request;
    const checked = validate(requestSchema, request, 'getWithCacheAside');
    const { tenant: tenantId, kind, collection, sessionId, ttlMs } = checked;
    validate(functionSchema<Generate>(), generate, 'generate');
    const digest = cacheDigest({ tenantId, kind, collection, key });
    const answer = await this.parts.values.get(
      { tenantId, kind, digest, collection, sessionId, ttlMs, signal, whenFailed: 'in_turn' },
      (ended) => computed(request, generate, ended),
    );
    if (answer.from === 'computed') return answer.result;
    const { value, tokens, model } = answer.cached;
    await this.#countSaved({ tenantId, kind, tokens, model });
    return { value: value as V, metrics: { hit: 'cache', tokens, model } };
  }

  /**
   * Removes cached values, and returns their number. Values whose computation began before are not stored any more.
   *
   * @throws {OrchestratorError} `invalid_request`, `storage_unavailable`.
   */
  async invalidate(request: InvalidateRequest): Promise<number> {
    const { tenant, collection, kind, sessionId } = validate(invalidateSchema, request, 'invalidate');
    return this.parts.storage.cache.invalidate({
      tenantId: tenant,
      ...(collection !== undefined && { collection }),
      ...(kind !== undefined && { kind }),
      ...(sessionId !== undefined && { sessionId }),
    });
  }

  /** Resolves once the usage so far is stored, or can't be soon. */
  async stop(): Promise<void> {
    await atMost(this.parts.clock, STOP_MS, Promise.all(this.#adding));
  }

  /** Once for each answer from the cache. Best effort: a storage that is away costs the count, not the answer. */
  async #countSaved(saved: {
    readonly tenantId: string;
    readonly kind: string;
    readonly tokens: number;
    readonly model: string | undefined;
  }): Promise<void> {
    const { tenantId, kind: operation, tokens: savedTokens, model = 'unknown' } = saved;
    if (savedTokens === 0) return;
    const { storage, random, logger } = this.parts;
    const adding = storage.usage
      .add({ tenantId, id: random.uuid(), model, operation, tokens: 0, savedTokens })
      .catch((error: unknown) => logger.warn('saved tokens are not counted', { error: messageOf(error) }))
      .finally(() => this.#adding.delete(adding));
    this.#adding.add(adding);
    if (this.#adding.size > MAX_ADDING) await adding;
  }
}

async function computed<V extends JsonValue>(
  { load }: CacheAsideRequest<V>,
  generate: Generate<V>,
  signal: AbortSignal,
): Promise<Computed<CacheAsideAnswer<V>>> {
  const loaded = await load?.({ signal });
  signal.throwIfAborted();
  const found = loaded ?? (await generate({ signal }));
  const hit = loaded ? 'load' : 'generated';
  const { tokens, model } = validate(costSchema, found, hit === 'load' ? 'load' : 'generate');
  const shared = ComputedValue.of(found.value, tokens, model);
  return { result: { value: found.value, metrics: { hit, tokens, model } }, shared };
}

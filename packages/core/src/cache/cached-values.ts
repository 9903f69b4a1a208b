import { copyField } from '../protocol/known-text.js';
import type { JsonValue } from '../protocol/json.js';
import { DEFAULTS } from '../protocol/settings.js';
import { messageOf } from '../protocol/thrown.js';
import { abortable } from '../runtime/abortable.js';
import { atMost, type Clock, every } from '../runtime/clock.js';
import type { Logger } from '../runtime/logger.js';
import type { Random } from '../runtime/random.js';
import { isUnavailable } from '../runtime/until-available.js';
import type { ClaimCachedResult } from '../storage/cache-store.js';
import type { Storage } from '../storage/storage.js';
import { CacheStats } from './cache-stats.js';
import type { CachedValue, ComputedValue } from './cached-value.js';
import { Computation, type Compute } from './computation.js';
import { type WaitingCaller, WaitingCallers } from './waiting-callers.js';

/** An entry that a caller asks for. */
export interface CacheRequest {
  readonly tenantId: string;
  readonly kind: string;
  readonly digest: string;
  readonly collection?: string | undefined;
  readonly sessionId?: string | undefined;
  readonly ttlMs: number;
  /** Ends the wait of this caller. */
  readonly signal?: AbortSignal | undefined;
  /**
   * What the callers do that wait for a computation of this process that fails. `in_turn`: one of them computes, and the others wait
   * for it; `at_once`: each computes, and nothing of it is stored.
   */
  readonly whenFailed: 'in_turn' | 'at_once';
  /** Called once it is known whether the value is there, is computed by this caller, or has to be waited for. */
  readonly onClaimed?: () => void;
}

/** `cache`: from the storage, or from the computation of another caller. */
export type CacheAnswer<T> =
  | { readonly from: 'cache'; readonly cached: CachedValue }
  | { readonly from: 'computed'; readonly result: T };

interface CacheParts {
  readonly storage: Storage;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** An answer waits so long for being stored. */
const STORING_MS = 2_000;
const REPEAT_WARNING_MS = 60_000;

/**
 * Cached values of all tenants: one computation for all callers of an entry, over all processes of a storage. A caller claims the
 * entry. It gets the value, or the lease to compute it, or waits for the computation that has the lease: in this process for its
 * result, else for a wakeup, and polls. When that one fails, or its lease ends, the next caller claims the entry. Each computes
 * once at most. Without the storage each process computes for itself, and stores nothing.
 */
export class CachedValues {
  readonly #parts: CacheParts;
  readonly #stats = new CacheStats();
  readonly #waiting: WaitingCallers;
  /** By the token of the lease; those without one by tenant and digest. */
  readonly #computations = new Map<string, Computation<unknown>>();
  #warnedAt = Number.NEGATIVE_INFINITY;

  constructor(parts: CacheParts) {
    this.#parts = parts;
    const { clock, storage } = parts;
    this.#waiting = new WaitingCallers({ wakeups: storage.wakeups, clock, pollMs: DEFAULTS.pollMs });
  }

  get stats(): CacheStats['all'] {
    return this.#stats.all;
  }

  /** The value of an entry, or what `compute` leads to. Rejects as `compute` of this caller does, or when `signal` fires. */
  async get<T>(request: CacheRequest, compute: Compute<T>): Promise<CacheAnswer<T>> {
    const { tenantId, digest, kind } = request;
    const caller = this.#waiting.enter(tenantId, digest);
    try {
      const answer = await this.#answer(request, compute, caller);
      if (answer.from === 'cache') this.#stats.hit(kind, answer.cached.tokens);
      else this.#stats.missed(kind);
      return answer;
    } finally {
      caller.leave();
    }
  }

  /** Drops a value, unless it was replaced meanwhile. */
  async drop({ tenantId, digest }: CacheRequest, { token }: CachedValue): Promise<void> {
    if (token === undefined) return;
    await this.#tolerant(this.#parts.storage.cache.remove({ tenantId, digest, token }));
  }

  async #answer<T>(
    request: CacheRequest,
    compute: Compute<T>,
    caller: WaitingCaller,
  ): Promise<CacheAnswer<T>> {
    const { signal } = request;
    const token = this.#parts.random.uuid();
    for (;;) {
      const claim = await this.#claim(request, token);
      if (claim?.answer === 'hit') {
        request.onClaimed?.();
        return { from: 'cache', cached: claim };
      }
      const id = idOf(claim, token, request);
      const running = claim?.answer === 'claimed' ? undefined : this.#computations.get(id);
      if (running) {
        request.onClaimed?.();
        const shared = await running.shared(signal);
        if (shared) return { from: 'cache', cached: shared.view() };
        if (request.whenFailed === 'at_once')
          return { from: 'computed', result: await alone(compute, signal) };
      } else if (claim?.answer === 'computing') {
        request.onClaimed?.();
        await caller.wait(claim.remainingMs, signal);
      } else {
        const computation = this.#begin(request, id, claim !== undefined, compute);
        caller.wakeOthers();
        request.onClaimed?.();
        return { from: 'computed', result: await computation.result(signal) };
      }
    }
  }

  #begin<T>(request: CacheRequest, id: string, hasLease: boolean, compute: Compute<T>): Computation<T> {
    const { clock } = this.#parts;
    const { tenantId, digest } = request;
    const stopRenewing = hasLease ? this.#keepLease(request, id) : () => {};
    const computation = new Computation(clock, compute, async (shared) => {
      stopRenewing();
      if (hasLease) await atMost(clock, STORING_MS, this.#tolerant(this.#store(request, id, shared)));
      this.#computations.delete(id);
      this.#waiting.wake(tenantId, digest);
    });
    this.#computations.set(id, computation);
    return computation;
  }

  /** Renews a lease until the returned function is called. */
  #keepLease({ tenantId, digest }: CacheRequest, token: string): () => void {
    const { cacheLeaseMs: leaseMs } = DEFAULTS;
    return every(this.#parts.clock, leaseMs / 3, () => {
      void this.#tolerant(this.#parts.storage.cache.renew({ tenantId, digest, token, leaseMs }));
    });
  }

  async #store(
    { tenantId, digest, ttlMs }: CacheRequest,
    token: string,
    shared: ComputedValue | undefined,
  ): Promise<void> {
    const { cache } = this.#parts.storage;
    if (!shared?.isStorable) return cache.remove({ tenantId, digest, token });
    const view = shared.view();
    const { tokens, model } = view;
    const entry = { tenantId, digest, token, value: null as JsonValue, tokens, ttlMs };
    copyField(view, entry, 'value');
    try {
      await cache.put(model === undefined ? entry : Object.assign(entry, { model }));
    } catch (error) {
      // A storage without room: the others are not to wait for the end of the lease.
      await cache.remove({ tenantId, digest, token });
      throw error;
    }
  }

  /** Nothing: the storage is away. */
  async #claim(request: CacheRequest, token: string): Promise<ClaimCachedResult | undefined> {
    const { tenantId, digest, kind, collection, sessionId, signal } = request;
    const { cache } = this.#parts.storage;
    const claiming = () =>
      cache.claim({
        ...{ tenantId, digest, token, kind, leaseMs: DEFAULTS.cacheLeaseMs },
        ...(collection !== undefined && { collection }),
        ...(sessionId !== undefined && { sessionId }),
      });
    let claimed: Promise<ClaimCachedResult> | undefined;
    try {
      return await abortable(signal, () => (claimed = claiming()));
    } catch (error) {
      if (signal?.aborted === true) {
        // A lease that arrives now would only end by itself.
        if (claimed) void this.#tolerant(claimed.then(() => cache.remove({ tenantId, digest, token })));
        throw error;
      }
      if (!isUnavailable(error)) throw error;
      this.#warn(error);
      return undefined;
    }
  }

  /** Failures cost an entry, never a value. */
  async #tolerant(work: Promise<unknown>): Promise<void> {
    await work.catch((error: unknown) => this.#warn(error));
  }

  #warn(error: unknown): void {
    const { clock, logger } = this.#parts;
    const now = clock.monotonic();
    if (now - this.#warnedAt < REPEAT_WARNING_MS) return;
    this.#warnedAt = now;
    logger.warn('the cache is not available: values are computed without it', { error: messageOf(error) });
  }
}

function idOf(
  claim: ClaimCachedResult | undefined,
  token: string,
  { tenantId, digest }: CacheRequest,
): string {
  if (!claim) return `${tenantId} ${digest}`;
  return claim.answer === 'computing' ? claim.token : token;
}

async function alone<T>(compute: Compute<T>, signal = new AbortController().signal): Promise<T> {
  const { result } = await compute(signal);
  return result;
}

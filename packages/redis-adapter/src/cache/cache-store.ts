import type { JsonValue } from '@agent-orchestrator/core';
import { addFromText, fieldText } from '@agent-orchestrator/core/protocol';
import {
  cachedBytes,
  type CacheStore,
  type ClaimCachedParams,
  type ClaimCachedResult,
  type InvalidateCachedParams,
  type PutCachedParams,
  type PutCachedResult,
  type RemoveCachedParams,
  type RenewCachedParams,
} from '@agent-orchestrator/core/storage';
import type { Reply } from '../scripts/script-runner.js';
import type { RedisState } from '../scripts/tenant-steps.js';

/** Far more than the portions of a full cache: others may fill it again meanwhile. */
const MAX_EVICTIONS = 1_000;

type CacheScript = 'claimCached' | 'renewCached' | 'putCached' | 'removeCached' | 'invalidateCached';
type Claim =
  | ['hit', token: string, stored: string]
  | ['claimed']
  | ['computing', token: string, remainingMs: number];

/** Cached values in Redis, among the keys of their tenant, all of which expire. */
export class RedisCache implements CacheStore {
  constructor(private readonly state: RedisState) {}

  async claim(params: ClaimCachedParams): Promise<ClaimCachedResult> {
    const { tenantId, digest, token, leaseMs, kind, collection, sessionId: session } = params;
    const about = JSON.stringify({ kind, collection, session });
    const bytes = cachedBytes(collection);
    const reply = await this.#run('claimCached', tenantId, digest, token, leaseMs, bytes, about);
    const claim = reply as unknown as Claim;
    if (claim[0] === 'hit') return hitOf(claim[1], claim[2]);
    if (claim[0] === 'claimed') return { answer: 'claimed' };
    return { answer: 'computing', token: claim[1], remainingMs: claim[2] };
  }

  async renew({ tenantId, digest, token, leaseMs }: RenewCachedParams): Promise<boolean> {
    return (await this.#run('renewCached', tenantId, digest, token, leaseMs)) === 1;
  }

  async put(params: PutCachedParams): Promise<PutCachedResult> {
    const { tenantId, digest, token, tokens, model = '', ttlMs } = params;
    const text = fieldText(params, 'value');
    const stored = `${tokens}\n${model}\n${text}`;
    const bytes = Buffer.byteLength(text);
    for (let left = MAX_EVICTIONS; left > 0; left -= 1) {
      const answer = await this.#run('putCached', tenantId, digest, token, ttlMs, bytes, stored);
      if (answer !== 'evicting') return answer as PutCachedResult;
    }
    await this.remove({ tenantId, digest, token });
    return 'no_room';
  }

  async remove({ tenantId, digest, token }: RemoveCachedParams): Promise<void> {
    await this.#run('removeCached', tenantId, digest, token);
  }

  async invalidate(params: InvalidateCachedParams): Promise<number> {
    const { tenantId, collection = '', kind = '', sessionId = '' } = params;
    const meant = [collection, kind, sessionId];
    let sum = 0;
    let last = '';
    for (let after: string | null = '0'; after !== null;) {
      const reply = await this.#run('invalidateCached', tenantId, after, last, ...meant);
      const [removed, upTo, next] = reply as unknown as [number, string, string | null];
      sum += removed;
      last = upTo;
      after = next;
    }
    return sum;
  }

  #run(name: CacheScript, tenantId: string, ...args: readonly (string | number)[]): Promise<Reply> {
    this.state.checkOpen();
    const { scripts, keys } = this.state.parts;
    return scripts.run(name, [keys.cache(tenantId)], [this.state.now, ...args]);
  }
}

function hitOf(token: string, stored: string): ClaimCachedResult {
  const modelAt = stored.indexOf('\n') + 1;
  const valueAt = stored.indexOf('\n', modelAt) + 1;
  const model = stored.slice(modelAt, valueAt - 1);
  const hit = {
    answer: 'hit' as const,
    value: null as JsonValue,
    tokens: Number(stored.slice(0, modelAt - 1)),
    ...(model !== '' && { model }),
    token,
  };
  addFromText(hit, 'value', stored.slice(valueAt));
  return hit;
}

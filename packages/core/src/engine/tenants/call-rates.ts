import type { Usage } from '../../protocol/service-call.js';
import { levelAt, ONE, untilRoom } from '../../storage/bucket.js';
import { defaultBurst } from '../../storage/rate-store.js';
import type { EngineState } from '../engine-state.js';
import type { CallEntry } from '../tasks/task-entry.js';
import type { TenantState } from './tenant-state.js';

/** Operations of a tenant whose last usage is remembered. */
const MAX_REMEMBERED = 1_000;

type RatesByName = Readonly<Record<string, number>> | undefined;

/** Tokens of a model that a call has taken in advance: as many as the operation used the last time. */
export interface TokensTaken {
  readonly model: string;
  readonly tokens: number;
}

/** The rate of a name, which that of `*` is for all names without one of their own. */
function rateOf(rates: RatesByName, name: string) {
  for (const key of [name, '*']) {
    const perMinute = rates && Object.hasOwn(rates, key) ? rates[key] : undefined;
    if (perMinute !== undefined) return { key, rate: { perMinute, burst: defaultBurst(perMinute) } };
  }
  return undefined;
}

/**
 * Takes a call, and the tokens that it may use, from the allowances of the tenant. Returns the time until there is room for it,
 * ms: later calls come behind it. Nothing is taken where that is more than `maxWaitMs`.
 */
export function takeCall(
  state: EngineState,
  tenant: TenantState,
  { service, operation }: Pick<CallEntry, 'service' | 'operation'>,
  maxWaitMs: number,
): { readonly waitMs: number; readonly taken?: TokensTaken } {
  const { callsPerMinute, tokensPerMinute } = tenant.settings.rates ?? {};
  const calls = rateOf(callsPerMinute, service);
  const taken = tenant.lastUsage.get(`${service}.${operation}`);
  const tokens = taken && rateOf(tokensPerMinute, taken.model);
  const waitMs = Math.max(
    calls ? waitOf(state, tenant, `calls ${calls.key}`, calls.rate, 1) : 0,
    taken && tokens ? waitOf(state, tenant, `tokens ${tokens.key}`, tokens.rate, taken.tokens) : 0,
  );
  if (waitMs > maxWaitMs) return { waitMs };
  if (calls) fill(state, tenant, `calls ${calls.key}`, calls.rate.perMinute, 1);
  if (taken && tokens) fill(state, tenant, `tokens ${tokens.key}`, tokens.rate.perMinute, taken.tokens);
  return { waitMs, ...(taken && tokens && { taken }) };
}

/** What a call has used replaces what it has taken in advance. */
export function chargeTokens(state: EngineState, tenant: TenantState, call: CallEntry, usage: Usage): void {
  const { tokensPerMinute } = tenant.settings.rates ?? {};
  if (!tokensPerMinute) return;
  const name = `${call.service}.${call.operation}`;
  const { model, tokens } = usage;
  if (tokens > 0 && (tenant.lastUsage.has(name) || tenant.lastUsage.size < MAX_REMEMBERED))
    tenant.lastUsage.set(name, { model, tokens });
  const { taken } = call;
  for (const { model: of, tokens: more } of [
    { model, tokens },
    ...(taken ? [{ ...taken, tokens: -taken.tokens }] : []),
  ]) {
    const found = rateOf(tokensPerMinute, of);
    if (found) fill(state, tenant, `tokens ${found.key}`, found.rate.perMinute, more);
  }
}

function waitOf(
  state: EngineState,
  tenant: TenantState,
  name: string,
  rate: { readonly perMinute: number; readonly burst: number },
  uses: number,
): number {
  const bucket = tenant.rateBuckets.get(name);
  // One that is larger than the burst waits for an empty bucket.
  return bucket
    ? untilRoom(levelAt(bucket, rate.perMinute, state.now()), rate, Math.min(uses, rate.burst))
    : 0;
}

function fill(state: EngineState, tenant: TenantState, name: string, perMinute: number, uses: number): void {
  const now = state.now();
  const before = levelAt(tenant.rateBuckets.get(name) ?? { level: 0, at: now }, perMinute, now);
  tenant.rateBuckets.set(name, { level: Math.max(0, before + uses * ONE), at: now });
}

import type { Usage } from '../../protocol/service-call.js';
import { levelAt, ONE, untilRoom } from '../../storage/bucket.js';
import { defaultBurst, type Rate } from '../../storage/rate-store.js';
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

/** A rate with the key of its bucket. */
interface NamedRate {
  readonly key: string;
  readonly rate: Rate;
}

/** The rate of a name, which that of `*` is for all names without one of their own. */
function rateOf(rates: RatesByName, kind: 'calls' | 'tokens', name: string): NamedRate | undefined {
  for (const own of [name, '*']) {
    const perMinute = rates && Object.hasOwn(rates, own) ? rates[own] : undefined;
    if (perMinute !== undefined)
      return { key: `${kind} ${own}`, rate: { perMinute, burst: defaultBurst(perMinute) } };
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
  const calls = rateOf(callsPerMinute, 'calls', service);
  const last = tenant.lastUsage.get(`${service}.${operation}`);
  const tokens = last && rateOf(tokensPerMinute, 'tokens', last.model);
  const waitMs = Math.max(
    calls ? waitOf(state, tenant, calls, 1) : 0,
    tokens ? waitOf(state, tenant, tokens, last.tokens) : 0,
  );
  if (waitMs > maxWaitMs) return { waitMs };
  if (calls) fill(state, tenant, calls, 1);
  if (tokens) fill(state, tenant, tokens, last.tokens);
  return { waitMs, ...(tokens && { taken: last }) };
}

/** What a call has used replaces what it has taken in advance. */
export function chargeTokens(state: EngineState, tenant: TenantState, call: CallEntry, usage: Usage): void {
  const { tokensPerMinute } = tenant.settings.rates ?? {};
  if (!tokensPerMinute) return;
  const name = `${call.service}.${call.operation}`;
  const { model, tokens } = usage;
  if (tokens > 0 && (tenant.lastUsage.has(name) || tenant.lastUsage.size < MAX_REMEMBERED))
    tenant.lastUsage.set(name, { model, tokens });
  const rate = rateOf(tokensPerMinute, 'tokens', model);
  if (rate) fill(state, tenant, rate, tokens);
  returnTokens(state, tenant, call);
}

/** A call has ended: what it has taken in advance goes back. */
export function returnTokens(state: EngineState, tenant: TenantState, call: CallEntry): void {
  const { taken } = call;
  const rate = taken && rateOf(tenant.settings.rates?.tokensPerMinute, 'tokens', taken.model);
  if (rate) fill(state, tenant, rate, -taken.tokens);
  delete call.taken;
}

/** Time until there is room for so many uses, ms: those that are more than the burst wait for an empty bucket. */
function waitOf(state: EngineState, tenant: TenantState, { key, rate }: NamedRate, uses: number): number {
  return untilRoom(levelOf(state, tenant, { key, rate }), rate, Math.min(uses, rate.burst));
}

/**
 * Level of a bucket now. Of a rate that has changed, what is beyond the burst is forgotten; a time to come, after the clock was set
 * back, becomes now: nothing would drain until then.
 */
function levelOf(state: EngineState, tenant: TenantState, { key, rate }: NamedRate): number {
  const bucket = tenant.rateBuckets.get(key);
  if (!bucket) return 0;
  const now = state.now();
  const { perMinute, burst } = rate;
  const hasChanged = bucket.perMinute !== perMinute;
  const most = hasChanged ? burst * ONE : Number.POSITIVE_INFINITY;
  const level = Math.min(levelAt(bucket, perMinute, now), most);
  if (hasChanged || bucket.at > now) tenant.rateBuckets.set(key, { level, at: now, perMinute });
  return level;
}

function fill(state: EngineState, tenant: TenantState, named: NamedRate, uses: number): void {
  const { key, rate } = named;
  const level = Math.max(0, levelOf(state, tenant, named) + uses * ONE);
  tenant.rateBuckets.set(key, { level, at: state.now(), perMinute: rate.perMinute });
}

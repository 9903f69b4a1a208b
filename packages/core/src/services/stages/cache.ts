import { type CachedValue, ComputedValue } from '../../cache/cached-value.js';
import type { CachedValues } from '../../cache/cached-values.js';
import type { JsonValue } from '../../protocol/json.js';
import { copyField, fieldText } from '../../protocol/known-text.js';
import { DEFAULTS } from '../../protocol/settings.js';
import type { Usage } from '../../protocol/usage.js';
import type { ContractChecks } from '../contracts.js';
import type { CallStage, OperationCacheSettings, OutboundCall, SendResult, Sender } from '../call-stage.js';
import { requestOf } from './cache-request.js';
import { TextsOfCall } from './cached-texts.js';

/**
 * Answers calls of the operations that the service's `cache` names from the cache: one call for all with the same tenant and input,
 * at the same time too. Only results are kept: a failed or accepted call is answered as without the stage, and what waited for it
 * is called at once.
 */
export function cacheCalls(values: CachedValues, contracts: ContractChecks): CallStage {
  return async (outbound, next) => {
    const settings = settingsOf(outbound);
    // What is tried again is asked again.
    if (!settings || outbound.call.attempt > 1) return next(outbound);
    const { ttlMs = DEFAULTS.cacheTtlMs, per = usualPer(outbound) } = settings;
    const texts = per === 'text' ? TextsOfCall.of(outbound) : undefined;
    return texts
      ? texts.answer(values, ttlMs, next)
      : answerWhole({ values, ttlMs, contracts }, outbound, next);
  };
}

function settingsOf({ service, call }: OutboundCall): OperationCacheSettings | undefined {
  const operations = service.cache?.operations ?? {};
  return Object.hasOwn(operations, call.operation) ? operations[call.operation] : undefined;
}

function usualPer({ service, call }: OutboundCall): 'call' | 'text' {
  return service.name === 'embedding' && call.operation === 'embed' ? 'text' : 'call';
}

async function answerWhole(
  {
    values,
    ttlMs,
    contracts,
  }: { readonly values: CachedValues; readonly ttlMs: number; readonly contracts: ContractChecks },
  outbound: OutboundCall,
  next: Sender,
): Promise<SendResult> {
  const request = requestOf(outbound, outbound.call.input);
  const answer = await values.get({ ...request, ttlMs }, async (signal) => {
    const result = await next({ ...outbound, signal });
    const shared = sharedOf(result);
    return { result, shared: shared && keepsContract(contracts, outbound, shared) ? shared : undefined };
  });
  return answer.from === 'computed' ? answer.result : fromCache(answer.cached);
}

/** A result that breaks its contract fails its caller, and is not to fail the next ones. */
function keepsContract(
  contracts: ContractChecks,
  { service, call }: OutboundCall,
  shared: ComputedValue,
): boolean {
  const read = contracts.resultReader(service.name, call.operation);
  if (!read) return true;
  try {
    read(shared.view().value);
    return true;
  } catch {
    return false;
  }
}

function sharedOf(result: SendResult): ComputedValue | undefined {
  if (result.kind !== 'answer' || result.answer.kind !== 'outcome') return undefined;
  const { outcome, usage } = result.answer;
  return outcome.ok
    ? new ComputedValue(fieldText(outcome, 'value'), usage?.tokens ?? 0, usage?.model)
    : undefined;
}

function fromCache(cached: CachedValue): SendResult {
  const outcome = { ok: true as const, value: null as JsonValue };
  copyField(cached, outcome, 'value');
  const usage = savedUsage(cached);
  return { kind: 'answer', answer: { kind: 'outcome', outcome, ...(usage && { usage }), cached: true } };
}

/** Usage of an answer that has cost nothing; a service that tells no usage has none. */
function savedUsage({ tokens, model }: CachedValue): Usage | undefined {
  if (model === undefined) return undefined;
  return { tokens: 0, model, saved_tokens: tokens };
}

import type { Hooks } from '../../runtime/hooks.js';
import type { Prices } from '../../usage/price-table.js';
import type { CallStage } from '../call-stage.js';

/** Puts a price on the usage that a service reports with its answer. The storage counts it, with the answer. */
export function priceUsage(prices: Prices, hooks: Hooks | undefined): CallStage {
  return async (outbound, next) => {
    const result = await next(outbound);
    if (result.kind !== 'answer' || result.answer.kind !== 'outcome' || !result.answer.usage) return result;
    const { service, call } = outbound;
    const usage = prices.priced(result.answer.usage);
    hooks?.emit('tokensUsed', {
      tenantId: call.tenant_id,
      operation: `${service.name}.${call.operation}`,
      usage,
    });
    return { ...result, answer: { ...result.answer, usage } };
  };
}

import type { Logger } from '../runtime/logger.js';
import { readUsage, type Usage } from '../protocol/usage.js';

/**
 * Usage of a response or notification, as fields to spread. Invalid usage is ignored with a warning that has ids but no payload;
 * the result is kept.
 */
export function usageOf(
  value: unknown,
  logger: Logger,
  ids: Readonly<Record<string, string | undefined>>,
): { readonly usage?: Usage } {
  if (value === undefined || value === null) return {};
  const usage = readUsage(value);
  if (usage) return { usage };
  logger.warn('usage is ignored: expected {"tokens", "model"}, or the fields of OpenAI', ids);
  return {};
}

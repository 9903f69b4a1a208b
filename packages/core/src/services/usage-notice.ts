import type { Logger } from '../runtime/logger.js';
import { readUsage, type Usage } from '../protocol/usage.js';

/**
 * The usage of an answer or a notification, as fields to spread. What is there and is not understood is ignored with a
 * warning, which has ids but nothing of the payload: the result beside it counts all the same.
 */
export function usageOf(
  value: unknown,
  logger: Logger,
  ids: Readonly<Record<string, string | undefined>>,
): { readonly usage?: Usage } {
  if (value === undefined || value === null) return {};
  const usage = readUsage(value);
  if (usage) return { usage };
  logger.warn('usage is ignored: expected {"tokens", "model"}, or the names of OpenAI', ids);
  return {};
}

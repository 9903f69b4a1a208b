import { cutText } from './text.js';

/** Usage of a call: `tokens` counted by the tokenizer of `model`. */
export interface Usage {
  /** From 0 to 2^53 - 1; fractions are kept. */
  readonly tokens: number;
  /** At most 200 characters; `unknown` if the service omits it. */
  readonly model: string;
  readonly prompt_tokens?: number;
  readonly completion_tokens?: number;
  readonly cached_tokens?: number;
  /** Tokens that an answer from the orchestrator's cache has saved. Set by the orchestrator only. */
  readonly saved_tokens?: number;
  /** Money, by the price table of the host. Set by the orchestrator only. */
  readonly cost?: number;
}

const MAX_MODEL = 200;

/**
 * Parses a service's usage: `tokens`, or the fields of OpenAI's APIs: `total_tokens`, the sum of `prompt_tokens` and
 * `completion_tokens`, or of `input_tokens` and `output_tokens`. `undefined` for anything else. Never throws: invalid usage
 * must not cost the result.
 */
export function readUsage(value: unknown): Usage | undefined {
  try {
    return typeof value === 'object' && value !== null ? readFields(value as Fields) : undefined;
  } catch {
    return undefined;
  }
}

type Fields = Readonly<Record<string, unknown>>;

function readFields(fields: Fields): Usage | undefined {
  const prompt = count(fields['prompt_tokens']) ?? count(fields['input_tokens']);
  const completion = count(fields['completion_tokens']) ?? count(fields['output_tokens']);
  const cached = count(fields['cached_tokens']) ?? cachedIn(fields);
  const sum =
    prompt === undefined && completion === undefined ? undefined : (prompt ?? 0) + (completion ?? 0);
  const tokens = count(fields['tokens']) ?? count(fields['total_tokens']) ?? count(sum);
  if (tokens === undefined) return undefined;
  return {
    tokens,
    model: readModel(fields['model']),
    ...(prompt !== undefined && { prompt_tokens: prompt }),
    ...(completion !== undefined && { completion_tokens: completion }),
    ...(cached !== undefined && { cached_tokens: cached }),
  };
}

/** Cached tokens as in OpenAI's APIs. */
function cachedIn(fields: Fields): number | undefined {
  const details = fields['prompt_tokens_details'] ?? fields['input_tokens_details'];
  return typeof details === 'object' && details !== null
    ? count((details as Fields)['cached_tokens'])
    : undefined;
}

function count(value: unknown): number | undefined {
  const isCount = typeof value === 'number' && value >= 0 && value <= Number.MAX_SAFE_INTEGER;
  // Normalises -0.
  return isCount ? value + 0 : undefined;
}

function readModel(value: unknown): string {
  if (typeof value !== 'string') return 'unknown';
  // Cut first, since it may be long; again after control characters are removed.
  const model = cutText(
    cutText(value, 4 * MAX_MODEL)
      .replaceAll(/\p{Cc}/gu, '')
      .trim(),
    MAX_MODEL,
  );
  return model === '' ? 'unknown' : model;
}

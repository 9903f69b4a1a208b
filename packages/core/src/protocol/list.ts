import { z } from 'zod';
import { MAX_ISSUES, parseByCurrentRule } from './lenient-parse.js';

/**
 * An array of `min` (default 0) to `max` items. Checks the length before any item, and stops at `MAX_ISSUES` issues: an array
 * of 200,000 invalid items costs as little as one of 20. Schemas use it for every array. `null` in an optional field of an
 * item is handled as outside of lists.
 */
export function listSchema<T extends z.ZodType>(item: T, { min = 0, max }: { min?: number; max: number }) {
  return z
    .custom<unknown[]>((value) => Array.isArray(value), 'expected array')
    .transform((values, context): z.output<T>[] => {
      const wrongLength = values.length < min ? `>=${min}` : values.length > max ? `<=${max}` : undefined;
      if (wrongLength !== undefined) context.addIssue(`expected array to have ${wrongLength} items`);
      return wrongLength === undefined ? read(item, values, context) : [];
    });
}

function read<T extends z.ZodType>(
  item: T,
  values: readonly unknown[],
  { issues }: z.RefinementCtx,
): z.output<T>[] {
  const items: z.output<T>[] = [];
  for (const [at, value] of values.entries()) {
    const parsed = parseByCurrentRule(item, value);
    if (parsed.success) {
      items.push(parsed.data);
      continue;
    }
    for (const issue of parsed.error.issues) {
      issues.push({ ...issue, path: [at, ...issue.path] } as z.core.$ZodRawIssue);
    }
    if (issues.length >= MAX_ISSUES) break;
  }
  return items;
}

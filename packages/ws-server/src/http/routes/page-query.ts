import { z } from 'zod';

/** Page size: 1 to 200, default 50. */
export const limitSchema = z
  .string()
  .regex(/^\d{1,9}$/, 'expected a whole number')
  .transform(Number)
  .pipe(z.number().min(1, 'expected at least 1').max(200, 'expected at most 200'))
  .default(50);

/** `next` of the previous page. */
export const pageCursorSchema = z.string().min(1).max(500);

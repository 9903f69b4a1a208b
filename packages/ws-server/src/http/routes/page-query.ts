import { z } from 'zod';

/** How many to a page: 1 to 200, 50 unless said otherwise. */
export const limitSchema = z
  .string()
  .regex(/^\d{1,9}$/, 'expected a whole number')
  .transform(Number)
  .pipe(z.number().min(1, 'expected at least 1').max(200, 'expected at most 200'))
  .default(50);

/** The `next` of the page before, as it was given out. */
export const pageCursorSchema = z.string().min(1).max(500);

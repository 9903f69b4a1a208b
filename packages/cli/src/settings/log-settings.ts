import { z } from 'zod';

/** From the most to the fewest lines. */
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

const LOG_FORMATS = ['json', 'text'] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

/** The setting `log`. What is left out depends on the command and on whether stderr is a terminal. */
export const logSchema = z.strictObject({
  level: z.enum(LOG_LEVELS, `expected ${LOG_LEVELS.join(', ')}`).optional(),
  format: z.enum(LOG_FORMATS, `expected ${LOG_FORMATS.join(' or ')}`).optional(),
});

import { z } from 'zod';
import { idSchema, labelSchema, taskTypeSchema, uuidSchema } from './ids.js';
import { listSchema } from './list.js';
import { DEFAULTS } from './settings.js';

/** Highest weight of a tenant in fair queueing. */
export const MAX_WEIGHT = 100;
/** Highest rate of requests, and burst. */
export const MAX_RATE = 10_000_000;
/** Highest limit of running tasks of a tenant. */
export const MAX_RUNNING = 1_000_000;

/** Most services or types on a tenant's list, and services or models with a rate. */
export const MAX_NAMES = 100;
/** Most budgets of a tenant: they are added up at each submission. */
export const MAX_BUDGETS = 4;

const WEIGHT_FORM = `expected a whole number from 1 to ${MAX_WEIGHT}, or null`;
const RUNNING_FORM = `expected a whole number from 1 to ${MAX_RUNNING}, or null`;

const RATE_FORM = `expected a whole number from 1 to ${MAX_RATE}, or null`;
const rateSchema = z.int(RATE_FORM).min(1, RATE_FORM).max(MAX_RATE, RATE_FORM).nullable().optional();

const COUNT_FORM = `expected a whole number from 1 to ${Number.MAX_SAFE_INTEGER}, or null`;
const countSchema = z.int(COUNT_FORM).min(1, COUNT_FORM).nullable().optional();

const MONEY_FORM = 'expected a number above 0';
const budgetSchema = z
  .strictObject({
    period: z.enum(['day', 'month'], 'expected day or month'),
    tokens: z.int().min(1).optional(),
    cost: z.number(MONEY_FORM).positive(MONEY_FORM).max(Number.MAX_SAFE_INTEGER).optional(),
  })
  .refine(({ tokens, cost }) => tokens !== undefined || cost !== undefined, 'expected tokens, cost, or both');

const ratesByNameSchema = z
  .record(labelSchema(200), z.int().min(1).max(MAX_RATE))
  .refine((rates) => Object.keys(rates).length <= MAX_NAMES, `expected at most ${MAX_NAMES} names`)
  .nullable()
  .optional();

/** Body of `PATCH /admin/v1/tenants/{t}`. An absent field stays as it is, `null` is the default again. */
export const tenantPatchSchema = z.strictObject({
  weight: z.int(WEIGHT_FORM).min(1, WEIGHT_FORM).max(MAX_WEIGHT, WEIGHT_FORM).nullable().optional(),
  max_running: z.int(RUNNING_FORM).min(1, RUNNING_FORM).max(MAX_RUNNING, RUNNING_FORM).nullable().optional(),
  paused: z.boolean('expected true, false or null').nullable().optional(),
  max_waiting: countSchema,
  max_stored_bytes: countSchema,
  retention_ms: z.int().min(1).max(DEFAULTS.maxRetentionMs).nullable().optional(),
  types: listSchema(taskTypeSchema, { max: MAX_NAMES }).nullable().optional(),
  services: listSchema(idSchema, { max: MAX_NAMES }).nullable().optional(),
  budgets: listSchema(budgetSchema, { min: 1, max: MAX_BUDGETS }).nullable().optional(),
  rates: z
    .strictObject(
      {
        requests_per_minute: rateSchema,
        burst: rateSchema,
        calls_per_minute: ratesByNameSchema,
        tokens_per_minute: ratesByNameSchema,
      },
      'expected an object or null',
    )
    .nullable()
    .optional(),
});

/** Changes of a tenant's settings, as on the wire. */
export type TenantPatch = z.output<typeof tenantPatchSchema>;

/** Body of `POST /admin/v1/tenants/{t}/cache/invalidate`. */
export const cacheInvalidationSchema = z.strictObject({
  collection: labelSchema(200).nullish(),
});

/** Which cached values of a tenant are removed: without a collection all. */
export type CacheInvalidation = z.output<typeof cacheInvalidationSchema>;

/** Earliest change of a task in a list. */
export const sinceSchema = z.iso.datetime({
  offset: true,
  error: 'expected an ISO 8601 timestamp with its time zone, such as 2026-01-31T08:00:00Z',
});
/** Code of the error of a task in a list. */
export const errorCodeSchema = z
  .string()
  .regex(/^[\w.:@/~+-]{1,100}$/, 'expected the code of an error, such as service_error');
/** Beginning of a task id: long enough that a page of tasks has few of it. */
export const idPrefixSchema = z
  .string()
  .regex(/^[0-9a-f-]{4,36}$/, 'expected 4 to 36 characters of a task id: 0 to 9, a to f and "-"');

/** Which dead letters a bulk action takes: all that fit, or those of `task_ids` that fit. */
export const deadLetterFilterSchema = z.strictObject({
  tenant: idSchema,
  type: taskTypeSchema.optional(),
  code: errorCodeSchema.optional(),
  since: sinceSchema.optional(),
  task_ids: listSchema(uuidSchema, { min: 1, max: 100 }).optional(),
});

/** Which dead letters a bulk action takes. */
export type DeadLetterFilter = z.output<typeof deadLetterFilterSchema>;
